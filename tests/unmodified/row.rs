//! What is run: programs as they come, with an address of their own choice.

use crate::support::load::Kind;
use crate::support::talk::Talk;

/// One program with one set-up.
pub struct Row {
    pub name: &'static str,
    /// The program that has to be installed, if any.
    pub needs: &'static str,
    /// What stands behind `endless -- `. `{port}` is where the clients are.
    pub command: &'static str,
    /// A file of the folder apps, or of tests/servers/apps, with the same `{port}` in it; `{other}` is a second one.
    pub file: &'static str,
    /// How the clients ask.
    pub kind: Kind,
    /// Whether there are clients at `{other}`, too.
    pub both: bool,
    /// Whether it runs in every test run.
    pub ci: bool,
}

const HTTP: Row = Row { name: "", needs: "", command: "", file: "", kind: Kind::New, both: false, ci: false };

/// All rows, in the order of the page.
pub const ROWS: &[Row] = &[
    Row {
        name: "python http.server",
        needs: "python3",
        command: "python3 -m http.server --bind 127.0.0.1 {port}",
        ci: true,
        ..HTTP
    },
    Row { name: "node", needs: "node", command: "node server.js {port}", file: "server.js", ci: true, ..HTTP },
    Row { name: "node cluster", needs: "node", command: "node cluster.js {port}", file: "cluster.js", ..HTTP },
    Row { name: "Go, static", needs: "go", command: "./server 127.0.0.1:{port}", file: "server.go", ..HTTP },
    Row {
        name: "Go, static, both IP versions",
        needs: "go",
        command: "./server :{port}",
        file: "server.go",
        ci: true,
        ..HTTP
    },
    Row {
        name: "nginx, 2 workers",
        needs: "nginx",
        command: "nginx -e stderr -p . -c nginx.conf",
        file: "nginx.conf",
        ci: true,
        ..HTTP
    },
    Row {
        name: "nginx, a socket for each worker",
        needs: "nginx",
        command: "nginx -e stderr -p . -c nginx-reuseport.conf",
        file: "nginx-reuseport.conf",
        ..HTTP
    },
    Row {
        name: "caddy",
        needs: "caddy",
        command: "caddy run --adapter caddyfile --config Caddyfile",
        file: "Caddyfile",
        ..HTTP
    },
    Row {
        name: "haproxy, master and worker",
        needs: "haproxy",
        command: "haproxy -W -f haproxy.cfg",
        file: "haproxy.cfg",
        ci: true,
        ..HTTP
    },
    Row {
        name: "haproxy, noreuseport",
        needs: "haproxy",
        command: "haproxy -db -f haproxy-noreuseport.cfg",
        file: "haproxy-noreuseport.cfg",
        ..HTTP
    },
    Row {
        name: "haproxy, a socket for each thread, two ports",
        needs: "haproxy",
        command: "haproxy -db -f haproxy-threads.cfg",
        file: "haproxy-threads.cfg",
        both: true,
        ..HTTP
    },
    Row {
        name: "gunicorn, 2 workers",
        needs: "gunicorn",
        command: "gunicorn --workers 2 --bind 127.0.0.1:{port} --log-level warning wsgi:app",
        file: "wsgi.py",
        ..HTTP
    },
    Row {
        name: "puma",
        needs: "puma",
        command: "puma --quiet --threads 4:4 --bind tcp://127.0.0.1:{port} config.ru",
        file: "config.ru",
        ..HTTP
    },
    Row {
        name: "redis, PING",
        needs: "redis-server",
        command: "redis-server --bind 127.0.0.1 --port {port} --save '' --appendonly no",
        kind: Kind::Talk(Talk::Redis),
        ci: true,
        ..HTTP
    },
    Row { name: "axum", command: "./plain_axum 127.0.0.1:{port}", file: "plain_axum", ci: true, ..HTTP },
    Row {
        name: "uvicorn",
        needs: "uvicorn",
        command: "uvicorn --port {port} --log-level warning asgi:app",
        file: "asgi.py",
        ..HTTP
    },
    Row {
        name: "MPTCP in Python, as Go from 1.24 on",
        needs: "python3",
        command: "python3 multipath.py {port}",
        file: "multipath.py",
        ..HTTP
    },
    Row {
        name: "UDP echo in Python",
        needs: "python3",
        command: "python3 echo.py {port}",
        file: "echo.py",
        kind: Kind::Talk(Talk::EchoUdp),
        ..HTTP
    },
];

/// The row of this name.
pub fn named(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).unwrap()
}

impl Row {
    /// Whether its program is there.
    pub fn installed(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.needs.is_empty() || std::env::split_paths(&path).any(|dir| dir.join(self.needs).is_file())
    }
}
