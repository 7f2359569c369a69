//! Answers that this kernel does not give, put in its mouth by strace: security contexts with and without
//! a NUL, and lengths and numbers that cannot be.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use afunix::{Errno, Gid, PeerError, Uid, UnixStream};

use crate::asks::{Asks, option};
use crate::common::emulated::{TRACE, left_out_by_qemu};
use crate::common::{Watchdog, assert_success, open_fds, run, skip};

for_data!(context_is_unsupported_where_nobody_keeps_any);

const SO_PEERSEC: i32 = 31;

/// See "Without labels there is no security context" in `kernel.md`.
fn context_is_unsupported_where_nobody_keeps_any<T: Asks>(_: &str) {
    let (a, _b) = T::pair().unwrap();
    for socket in [a, T::unbound().unwrap()] {
        let asked = option(&socket, SO_PEERSEC, 256);
        let Err((errno, _)) = asked else { return skip("a security module has labels here") };
        assert_eq!(errno, Errno::NOPROTOOPT);
        let unsupported = Err(PeerError::Unsupported(Errno::NOPROTOOPT));
        assert_eq!(socket.peer_security_context(&mut [0; 256]), unsupported);
        assert_eq!(socket.peer_security_context(&mut []), unsupported);
        assert_eq!(afunix::peer_security_context(&socket, &mut [0; 256]), unsupported);
    }
}

/// What the kernel is made to say: an errno, or 0; the value; and its length.
struct Case {
    name: &'static str,
    errno: Option<&'static str>,
    value: &'static [u8],
    len: u32,
    check: fn(&UnixStream),
}

fn context(socket: &UnixStream, room: usize) -> Result<Vec<u8>, PeerError> {
    let mut buf = vec![b'.'; room];
    socket.peer_security_context(&mut buf).map(<[u8]>::to_vec)
}

#[track_caller]
fn takes(error: PeerError, wanted: usize) {
    let PeerError::TooSmall { needed, .. } = error else { panic!("{error:?}") };
    assert_eq!((needed, error.errno()), (wanted, Errno::RANGE));
}

const PROTO: PeerError = PeerError::Kernel(Errno::PROTO);

fn said(name: &'static str, value: &'static [u8], check: fn(&UnixStream)) -> Case {
    Case { name, errno: None, value, len: value.len().try_into().unwrap(), check }
}

/// Security contexts.
fn contexts() -> Vec<Case> {
    vec![
        said("a NUL at the end", b"user:role\0", |a| {
            assert_eq!(context(a, 64).unwrap(), b"user:role");
            // Which needs room of its own.
            assert_eq!(context(a, 10).unwrap(), b"user:role");
        }),
        said("no NUL", b"unconfined", |a| {
            assert_eq!(context(a, 64).unwrap(), b"unconfined");
            assert_eq!(context(a, 10).unwrap(), b"unconfined");
        }),
        said("two NULs", b"ab\0\0", |a| assert_eq!(context(a, 64).unwrap(), b"ab\0")),
        said("a NUL inside", b"a\0b", |a| assert_eq!(context(a, 64).unwrap(), b"a\0b")),
        said("just a NUL", b"\0", |a| assert_eq!(context(a, 64).unwrap(), b"")),
        said("nothing", b"", |a| {
            assert_eq!(context(a, 64).unwrap(), b"");
            assert_eq!(context(a, 0).unwrap(), b"");
        }),
        Case {
            name: "too long",
            errno: Some("ERANGE"),
            value: b"",
            len: 300,
            check: |a| {
                takes(context(a, 299).unwrap_err(), 300);
                takes(context(a, 0).unwrap_err(), 300);
                // That it would not fit where it does is no answer.
                assert_eq!(context(a, 300), Err(PeerError::Kernel(Errno::RANGE)));
            },
        },
    ]
}

/// Lengths beyond the room, and not of whole numbers.
fn lengths() -> Vec<Case> {
    let lies = |name, len, check| Case { name, errno: None, value: b"ab", len, check };
    vec![
        lies("longer than the room", 65, |a| {
            assert_eq!(context(a, 64), Err(PROTO));
            assert_eq!(a.peer_groups(&mut [Gid::ROOT; 16]), Err(PROTO));
        }),
        lies("negative", u32::MAX, |a| {
            assert_eq!(context(a, 64), Err(PROTO));
            assert_eq!(a.peer_groups(&mut [Gid::ROOT; 16]), Err(PROTO));
            assert_eq!(a.peer_credentials(), Err(PROTO));
            assert_eq!(a.peer_pidfd().map(drop), Err(PROTO));
        }),
        lies("no whole number of groups", 6, |a| {
            assert_eq!(a.peer_groups(&mut [Gid::ROOT; 16]), Err(PROTO));
        }),
        lies("credentials that are cut", 8, |a| assert_eq!(a.peer_credentials(), Err(PROTO))),
        lies("a pidfd that is cut", 2, |a| {
            let before = open_fds();
            assert_eq!(a.peer_pidfd().map(drop), Err(PROTO));
            assert_eq!(open_fds(), before);
        }),
        Case {
            name: "groups",
            errno: Some("ERANGE"),
            value: b"",
            len: 262_144,
            check: |a| {
                takes(a.peer_groups(&mut [Gid::ROOT; 16]).unwrap_err(), 65_536);
                takes(a.peer_groups(&mut []).unwrap_err(), 65_536);
            },
        },
        Case {
            name: "groups and a half",
            errno: Some("ERANGE"),
            value: b"",
            len: 66,
            check: |a| {
                takes(a.peer_groups(&mut [Gid::ROOT; 16]).unwrap_err(), 17);
            },
        },
    ]
}

/// Credentials and pidfds that cannot be.
fn numbers() -> Vec<Case> {
    vec![
        // Little-endian, as wherever this runs.
        said("a negative pid", &[0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 2, 0, 0, 0], |a| {
            let peer = a.peer_credentials().unwrap();
            assert_eq!((peer.pid, peer.euid.as_raw(), peer.egid.as_raw()), (None, 1, 2));
        }),
        said("half of nobody", &[7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], |a| {
            let peer = a.peer_credentials().unwrap();
            assert_eq!((peer.euid.as_raw(), peer.egid.as_raw()), (u32::MAX, 0));
            assert!(peer.require_user(peer.euid).is_err());
            assert!(peer.require_user(Uid::ROOT).is_err());
            assert!(peer.require_same_user().is_err());
        }),
        said("nobody", &[0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255], |a| {
            assert_eq!(a.peer_credentials(), Err(PeerError::NotConnected));
            assert_eq!(a.peer().map(drop), Err(PeerError::NotConnected));
        }),
        said("no pidfd", &[0xe8, 0xff, 0xff, 0xff], |a| {
            assert_eq!(a.peer_pidfd().map(drop), Err(PROTO));
        }),
    ]
}

/// Runs each case in a process of its own, whose every `getsockopt` is answered so.
fn injected(test: &str, cases: &[Case]) {
    const CASE: &str = "AFUNIX_TEST_CASE";
    const CHECKED: &str = "the case was checked";
    if let Some(case) = std::env::var_os(CASE) {
        let case: usize = case.to_str().unwrap().parse().unwrap();
        let (a, _b) = UnixStream::pair().unwrap();
        (cases[case].check)(&a);
        println!("{CHECKED}");
        return;
    }
    if left_out_by_qemu(TRACE) || !can_inject() {
        return;
    }
    for (number, case) in cases.iter().enumerate() {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let mut pokes = format!("@arg5={}", hex(&case.len.to_ne_bytes()));
        if !case.value.is_empty() {
            pokes += &format!(",@arg4={}", hex(case.value));
        }
        let answer = case.errno.map_or("retval=0".into(), |errno| format!("error={errno}"));
        let inject = format!("inject=getsockopt:{answer}:poke_exit={pokes}");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=getsockopt", "-e", &inject]);
        command.arg(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        let output = run(command.env(CASE, number.to_string()));
        if output.status.into_raw() != 0 {
            println!("{}: {inject}", case.name);
        }
        assert_success(&output);
        assert!(String::from_utf8_lossy(&output.stdout).contains(CHECKED));
    }
}

/// Whether there is an strace that can do it.
fn can_inject() -> bool {
    let usable = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-e", "inject=getsockopt:retval=0:poke_exit=@arg5=00"])
        .arg("true")
        .output();
    let can = usable.is_ok_and(|output| output.status.success());
    if !can {
        skip("there is no strace that can inject answers here");
    }
    can
}

macro_rules! for_cases {
    ($($test:ident $cases:ident)+) => {
        $(#[test]
        fn $test() {
            let _watchdog = Watchdog::new();
            injected(concat!("contexts::", stringify!($test)), &$cases());
        })+
    };
}

for_cases!(
    context_loses_one_nul_at_its_end contexts
    length_that_cannot_be_is_a_broken_protocol lengths
    number_that_cannot_be_is_nobody_s numbers
);
