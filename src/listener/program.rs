//! Steering programs: classic BPF that says which member of a SO_REUSEPORT group gets a new connection.
//!
//! The kernel runs the program on the packet that opens the connection and takes its answer as an index into the group
//! (socket(7), SO_ATTACH_REUSEPORT_CBPF). In such a program offset 0 is what follows the TCP or UDP header, so addresses
//! and ports are read relative to the network header (`SKF_NET_OFF`, linux/filter.h).

use nix::libc::sock_filter;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What one group's program does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Steering {
    /// The members everybody goes to, one of them at random. None is as good as the first of the group.
    pub(super) everybody: Vec<usize>,
    /// Not at random, but each client, by its port, always to the same: datagrams that belong together stay together.
    #[serde(default)]
    pub(super) sticky: bool,
    /// The one client that goes to another member: endless' own probe.
    pub(super) probe: Option<(SocketAddr, usize)>,
}

impl Default for Steering {
    /// Everybody goes to the first member.
    fn default() -> Self {
        Steering { everybody: vec![0], sticky: false, probe: None }
    }
}

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const SHIFT_RIGHT: u16 = 0x74;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const MODULO: u16 = 0x94;
const RETURN: u16 = 0x06;

/// A random number: SKF_AD_OFF + SKF_AD_RANDOM, -0x1000 + 56.
const RANDOM: u32 = 0xffff_f038;

/// The network header: SKF_NET_OFF, -0x100000.
const NETWORK: u32 = 0xfff0_0000;
const V4_SOURCE: u32 = NETWORK + 12;
/// Behind an IPv4 header without options; our own connections over loopback have none.
const V4_PORT: u32 = NETWORK + 20;
const V6_SOURCE: u32 = NETWORK + 8;
const V6_PORT: u32 = NETWORK + 40;

const fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Goes on when the value is `k`, else skips `otherwise` instructions.
fn expect(k: u32, otherwise: usize) -> sock_filter {
    sock_filter { code: JUMP_EQUAL, jt: 0, jf: u8::try_from(otherwise).unwrap_or(u8::MAX), k }
}

fn answer(index: usize) -> sock_filter {
    step(RETURN, u32::try_from(index).unwrap_or(0))
}

impl Steering {
    /// The program as the kernel takes it.
    pub(super) fn program(&self) -> Vec<sock_filter> {
        let everybody = one_of(&self.everybody, self.sticky);
        let Some((client, member)) = self.probe else { return everybody };
        let mut checks = vec![(LOAD_BYTE, NETWORK, if client.is_ipv4() { 4 } else { 6 })];
        let port = match client.ip() {
            IpAddr::V4(source) => {
                checks.push((LOAD_WORD, V4_SOURCE, source.to_bits()));
                V4_PORT
            }
            IpAddr::V6(source) => {
                let words = source.octets();
                for (at, word) in (V6_SOURCE..).step_by(4).zip(words.chunks_exact(4)) {
                    checks.push((LOAD_WORD, at, u32::from_be_bytes([word[0], word[1], word[2], word[3]])));
                }
                V6_PORT
            }
        };
        checks.push((LOAD_HALF, port, u32::from(client.port())));
        assemble(&checks, member, everybody)
    }
}

/// `member` when every value that is loaded is the one expected, else `everybody`. The first check, on the byte with the
/// IP version, looks at its upper half only.
fn assemble(checks: &[(u16, u32, u32)], member: usize, everybody: Vec<sock_filter>) -> Vec<sock_filter> {
    let mut program = Vec::with_capacity(2 * checks.len() + 3);
    for (number, (load, at, value)) in checks.iter().enumerate() {
        program.push(step(*load, *at));
        if number == 0 {
            program.push(step(SHIFT_RIGHT, 4));
        }
        let left = 2 * (checks.len() - number - 1) + 1;
        program.push(expect(*value, left));
    }
    program.push(answer(member));
    program.extend(everybody);
    program
}

/// Answers with one of these, each as often as the others; `sticky`: always the same for the same client.
fn one_of(members: &[usize], sticky: bool) -> Vec<sock_filter> {
    let Some((last, others)) = members.split_last() else { return vec![answer(0)] };
    if others.is_empty() {
        return vec![answer(*last)];
    }
    let mut program = if sticky {
        vec![
            step(LOAD_BYTE, NETWORK),
            step(SHIFT_RIGHT, 4),
            expect(4, 2),
            step(LOAD_HALF, V4_PORT),
            step(JUMP, 1),
            step(LOAD_HALF, V6_PORT),
        ]
    } else {
        vec![step(LOAD_WORD, RANDOM)]
    };
    program.push(step(MODULO, u32::try_from(members.len()).unwrap_or(u32::MAX)));
    for (number, member) in (0..).zip(others) {
        program.extend([expect(number, 1), answer(*member)]);
    }
    program.push(answer(*last));
    program
}

/// The loopback address of the same family, for a client of a wildcard address.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => return address,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program on a packet that starts at its network header.
    fn run(program: &[sock_filter], packet: &[u8]) -> u32 {
        run_with(program, packet, 0)
    }

    /// The same where the random number is this one.
    fn run_with(program: &[sock_filter], packet: &[u8], random: u32) -> u32 {
        let (mut at, mut value) = (0, 0u32);
        loop {
            let step = program[at];
            let from = step.k.wrapping_sub(NETWORK) as usize;
            at += 1;
            match step.code {
                LOAD_WORD if step.k == RANDOM => value = random,
                MODULO => value %= step.k,
                LOAD_BYTE => value = u32::from(packet[from]),
                LOAD_HALF => value = u32::from(u16::from_be_bytes([packet[from], packet[from + 1]])),
                LOAD_WORD => value = u32::from_be_bytes(packet[from..from + 4].try_into().unwrap()),
                SHIFT_RIGHT => value >>= step.k,
                JUMP => at += step.k as usize,
                JUMP_EQUAL => at += usize::from(if value == step.k { step.jt } else { step.jf }),
                RETURN => return step.k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    fn packet(client: SocketAddr) -> Vec<u8> {
        let mut bytes = vec![0u8; 60];
        let port = match client.ip() {
            IpAddr::V4(ip) => {
                bytes[0] = 0x45;
                bytes[12..16].copy_from_slice(&ip.octets());
                20
            }
            IpAddr::V6(ip) => {
                bytes[0] = 0x6a;
                bytes[8..24].copy_from_slice(&ip.octets());
                40
            }
        };
        bytes[port..port + 2].copy_from_slice(&client.port().to_be_bytes());
        bytes
    }

    #[test]
    fn without_a_probe_everybody_goes_to_one_member() {
        let program = Steering { everybody: vec![3], ..Steering::default() }.program();
        assert_eq!(program.len(), 1);
        assert_eq!(run(&program, &packet("127.0.0.1:1".parse().unwrap())), 3);
    }

    #[test]
    fn only_the_probe_goes_to_its_member() {
        let clients =
            ["127.0.0.1:4000", "127.0.0.1:4001", "10.0.0.1:4000", "[::1]:4000", "[::1]:4001", "[fe80::1]:4000"];
        for probe in clients {
            let probe: SocketAddr = probe.parse().unwrap();
            let program = Steering { probe: Some((probe, 1)), ..Steering::default() }.program();
            for client in clients {
                let client: SocketAddr = client.parse().unwrap();
                assert_eq!(run(&program, &packet(client)), u32::from(client == probe), "{client} with probe {probe}");
            }
        }
    }

    #[test]
    fn everybody_is_spread_over_several_members_and_the_probe_is_not() {
        let probe: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let program = Steering { everybody: vec![4, 2, 7], sticky: false, probe: Some((probe, 1)) }.program();
        let other = packet("127.0.0.1:4001".parse().unwrap());
        let chosen: Vec<u32> = (0..4).map(|random| run_with(&program, &other, random)).collect();
        assert_eq!(chosen, [4, 2, 7, 4]);
        assert_eq!(run_with(&program, &packet(probe), 2), 1);
        assert_eq!(run(&Steering { everybody: vec![], ..Steering::default() }.program(), &other), 0);
    }

    #[test]
    fn a_client_of_a_sticky_group_always_has_the_same_member() {
        let program = Steering { everybody: vec![4, 2, 7], sticky: true, probe: None }.program();
        for ip in ["127.0.0.1", "[::1]"] {
            let chosen = (4000..4004).map(|port| run(&program, &packet(format!("{ip}:{port}").parse().unwrap())));
            assert_eq!(chosen.collect::<Vec<_>>(), [2, 7, 4, 2], "{ip}");
        }
    }

    #[test]
    fn a_wildcard_is_reached_over_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:80".parse().unwrap()), "10.0.0.1:80".parse().unwrap());
    }
}
