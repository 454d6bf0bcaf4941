//! Listeners and hand-off.

use clap::Args;
use clap::builder::BoolishValueParser;

/// Where to listen, and how the target is told about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Listeners and hand-off")]
pub struct ListenerArgs {
    /// Listen here: HOST:PORT, :PORT, udp:HOST:PORT, unix:PATH, unix:@NAME, vsock:CID:PORT, fd:N
    ///
    /// Repeatable; the order is the order of the target's descriptors, from 3 on. Forms of ADDRESS: `localhost:4242`,
    /// `[::1]:80`, `:80`, `*:80` or `80` (both IP versions), `udp:HOST:PORT`, `unix:PATH` or `/PATH`, `unix:@NAME`
    /// (abstract), `unix-dgram:PATH`, `unix-seqpacket:PATH`, `vsock:CID:PORT` (CID: a number, `any`, `host`, `local`), `fd:N` or
    /// `fd:NAME` (a socket endless was started with).
    /// Options: backlog=N, mode=0660, user=, group=, v6only=yes|no, freebind, transparent, device=IF, mark=N, fastopen=N,
    /// defer-accept=SECS, keepalive=IDLE/INTERVAL/COUNT, nodelay, rcvbuf=SIZE, sndbuf=SIZE, congestion=NAME,
    /// nonblock=yes|no, share=yes, fd=N.
    /// NAME is letters, digits, `_`, `.` and `-`; a path that holds `=` starts with `/` or `unix:` and is never taken for
    /// a name. A comma always begins an option.
    #[arg(short, long, value_name = "[NAME=]ADDRESS[,OPTION]...", env = "ENDLESS_LISTEN", hide_env_values = true)]
    pub listen: Vec<String>,

    /// How the target is told: systemd, server-starter, stdin, none, einhorn, endless, endless-json, goagain, grace, tableflip, overseer, nginx, unicorn, puma, php-fpm, gunicorn [default: systemd,server-starter]
    ///
    /// `systemd`: LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID. `server-starter`: SERVER_STARTER_PORT and
    /// SERVER_STARTER_GENERATION. `stdin`: the one listener is descriptor 0. `none`: nothing is set; use templates such
    /// as `{fd}` in the arguments. What the programs of other launchers and libraries read: `einhorn`, `endless`,
    /// `endless-json`, `goagain`, `grace`, `tableflip`, `overseer`. What servers read from their own predecessor: `nginx`,
    /// `unicorn`, `puma`, `php-fpm`, `gunicorn`. Several are separated by commas. A protocol brings its way to say that the
    /// target serves and its stop signal.
    #[arg(short, long, value_name = "PROTOCOL,...", env = "ENDLESS_PASS", hide_env_values = true)]
    pub pass: Option<String>,

    /// The options a certain server needs: nginx, gunicorn, puma, go-endless and others; endless presets lists them
    ///
    /// It sets what the command line does not: the protocol of --pass, the stop signal and so on. `endless check` shows what it
    /// has set.
    #[arg(long, value_name = "NAME", env = "ENDLESS_PRESET", hide_env_values = true)]
    pub preset: Option<String>,

    /// Whether LISTEN_PID is set: auto, none [default: auto]
    ///
    /// `auto` sets it to the pid of the target. Behind a wrapper that starts the server as its child, put
    /// `endless exec --` in front of the server instead of using `none`.
    #[arg(long, value_name = "WHOSE", env = "ENDLESS_LISTEN_PID", hide_env_values = true)]
    pub listen_pid: Option<String>,

    /// Whether sockets that the target binds by itself are taken care of too: auto, always, never [default: auto]
    ///
    /// Then a program that knows nothing of sockets it is handed is restarted without a lost connection; at an address of a
    /// listener it gets the socket it would have been handed. `auto`: where no listener is given, and with listeners where it
    /// needs no no_new_privs and nothing says that the target takes its sockets: no preset, no --pass other than the default,
    /// no `{fd}`. `never` installs nothing and looks at nothing. It works by a seccomp filter on bind(2), listen(2) and
    /// unlink(2); without root the filter needs no_new_privs, so setuid programs lose their extra rights.
    #[arg(long, value_name = "WHEN", env = "ENDLESS_CAPTURE", hide_env_values = true)]
    pub capture: Option<String>,

    /// How many descriptors copies may leave with endless for the next ones (FDSTORE=1) [default: 64]
    #[arg(long, value_name = "N", env = "ENDLESS_FD_STORE_MAX", hide_env_values = true, allow_negative_numbers = true)]
    pub fd_store_max: Option<String>,

    /// Leave {fd}, {addr} and the like as they are
    ///
    /// Otherwise `{fd}`, `{addr}`, `{host}`, `{port}` (of the first listener), the same with `:NAME`, `{generation}` and
    /// `{worker}` are replaced in the target's arguments and in the values of --env.
    #[arg(long, env = "ENDLESS_NO_EXPAND", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub no_expand: bool,
}
