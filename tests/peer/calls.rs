//! Which system calls each question makes: nothing is asked that was not asked for.

use std::mem::forget;

use afunix::{Gid, Uid, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacketListener, UnixStream};

use crate::common::trace::{Run, traced};

/// An operation, and its calls with the options that they ask for.
type Operation = (&'static str, &'static [&'static str], Run);

macro_rules! operations {
    ($socket:ident: $($calls:expr, $call:expr;)+) => {{
        let $socket: &'static _ = Box::leak(Box::new($socket));
        vec![$((stringify!($call), &$calls[..], Box::new(move || { let _ = $call; }) as Run)),+]
    }};
}

const CREDENTIALS: &str = "getsockopt SO_PEERCRED";
const PIDFD: &str = "getsockopt SO_PEERPIDFD";
const GROUPS: &str = "getsockopt SO_PEERGROUPS";
const CONTEXT: &str = "getsockopt SO_PEERSEC";

fn operations() -> Vec<Operation> {
    let (socket, other) = UnixStream::pair().unwrap();
    let (datagram, other_datagram) = UnixDatagram::pair().unwrap();
    let peer = socket.peer_credentials().unwrap();
    forget((other, other_datagram));
    let mut all = operations! { socket:
        [CREDENTIALS], socket.peer_credentials();
        [PIDFD], socket.peer_pidfd().map(forget);
        [CREDENTIALS, PIDFD], socket.peer().map(forget);
        [GROUPS], socket.peer_groups(&mut [Gid::ROOT; 512]).is_ok();
        // One that does not fit is not asked for again.
        [GROUPS], socket.peer_groups(&mut []).is_ok();
        [CONTEXT], socket.peer_security_context(&mut [0; 256]).is_ok();
        [CONTEXT], socket.peer_security_context(&mut []).is_ok();
        [CREDENTIALS], afunix::peer_credentials(socket);
        [CREDENTIALS, PIDFD], afunix::peer(socket).map(forget);
    };
    all.extend(operations! { datagram:
        [CREDENTIALS], datagram.peer_credentials();
        [CREDENTIALS, PIDFD], datagram.peer().map(forget);
    });
    // Where there is no peer, there is no need for a descriptor.
    let unbound = UnixStream::unbound().unwrap();
    all.extend(operations! { unbound:
        [CREDENTIALS], unbound.peer().map(forget);
    });
    all.extend(operations! { peer:
        ["geteuid"], peer.require_same_user();
        [], peer.require_root();
        [], peer.require_user(Uid::ROOT);
        [], peer.require_group(Gid::ROOT, &[Gid::ROOT]);
        [], peer.require_process(rustix::process::Pid::INIT);
    });
    let (listener, addr) = UnixListener::autobind().unwrap();
    listener.set_nonblocking(true).unwrap();
    forget((UnixStream::connect(&addr).unwrap(), UnixStream::connect(&addr).unwrap()));
    all.extend(operations! { listener:
        ["accept4", CREDENTIALS], listener.accept_peer().map(forget);
        ["accept4", CREDENTIALS], listener.accept_peer_into(&mut { UnixAddr::UNNAMED }).map(forget);
        ["accept4"], listener.accept_peer().map(forget);
    });
    let (listener, addr) = UnixSeqpacketListener::autobind().unwrap();
    forget(afunix::UnixSeqpacket::connect(&addr).unwrap());
    all.extend(operations! { listener:
        ["accept4", CREDENTIALS], listener.accept_peer().map(forget);
    });
    all
}

/// The name of a call, as 64-bit machines have it, and the option that it asks for.
fn shown(call: &str) -> String {
    let name = call.split('(').next().unwrap_or_default().replace("geteuid32", "geteuid");
    // Newer than some an strace.
    let known = call.replace("SO_PEERPIDFD", "0x4d").replace("0x4d", "SO_PEERPIDFD");
    let known = known.replace("SOL_SOCKET, 77,", "SOL_SOCKET, SO_PEERPIDFD,");
    match known.split("SOL_SOCKET, ").nth(1) {
        Some(rest) => {
            let option: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            format!("{name} {option}")
        }
        None => name,
    }
}

#[test]
fn each_question_makes_just_its_calls() {
    let runs = || operations().into_iter().map(|(_, _, run)| run).collect();
    let Some(made) = traced("calls::each_question_makes_just_its_calls", runs) else { return };
    let operations = operations();
    assert_eq!(made.len(), operations.len());
    for ((name, expected, _), made) in operations.iter().zip(&made) {
        let calls: Vec<_> = made.0.iter().map(|call| shown(call)).collect();
        assert_eq!(calls, *expected, "{name} made {made:#?}");
    }
}
