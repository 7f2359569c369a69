//! Sockets that are in flight to each other, and that nobody else has any more, are collected; and
//! none goes where it may not.

use std::thread;
use std::time::{Duration, Instant};

use afunix::{AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd, UnixDatagram, UnixListener, UnixStream};

use crate::check::{Checks, Outcome, answered, leave_network};
use crate::common::LONG;

/// How the sockets are made and filled.
#[derive(Clone, Copy)]
struct Variant {
    kind: Kind,
    /// By urgent data.
    oob: bool,
    /// The receivers take none.
    disabled: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Dgram,
    Stream,
    /// To connections that nobody has accepted.
    Listener,
}

/// Which is sent to which.
type Edges = &'static [(usize, usize)];

const SELF_REF: Edges = &[(0, 0), (1, 1)];
const TRIANGLE: Edges = &[(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)];
const CROSS_EDGE: Edges =
    &[(0, 1), (1, 2), (2, 0), (1, 3), (3, 2), (4, 5), (5, 6), (6, 4), (5, 7), (7, 6)];
const BACKTRACK_FROM_SCC: Edges =
    &[(0, 1), (0, 4), (1, 2), (2, 3), (3, 1), (5, 6), (5, 9), (6, 7), (7, 8), (8, 6)];

/// A socket, and one that sends to it.
struct Node {
    socket: OwnedFd,
    sender: OwnedFd,
}

impl Node {
    fn new(variant: Variant) -> Result<Self, Errno> {
        Ok(match variant.kind {
            Kind::Dgram => {
                let (socket, sender) = UnixDatagram::pair()?;
                if variant.disabled {
                    socket.set_passrights(false)?;
                }
                Self { socket: socket.into(), sender: sender.into() }
            }
            Kind::Stream => {
                let (socket, sender) = UnixStream::pair()?;
                if variant.disabled {
                    socket.set_passrights(false)?;
                }
                Self { socket: socket.into(), sender: sender.into() }
            }
            Kind::Listener => {
                // What is accepted has it of the listener.
                let (listener, name) = UnixListener::autobind()?;
                if variant.disabled {
                    listener.set_passrights(false)?;
                }
                let sender = UnixStream::connect(&name)?;
                Self { socket: listener.into(), sender: sender.into() }
            }
        })
    }

    /// How many sockets the kernel has for it.
    const fn sockets(kind: Kind) -> usize {
        if matches!(kind, Kind::Listener) { 3 } else { 2 }
    }
}

/// Sends descriptors with one urgent byte.
fn send_oob(socket: BorrowedFd<'_>, fds: &[BorrowedFd<'_>; 2]) -> Result<usize, Errno> {
    let fds = fds.map(|fd| AsRawFd::as_raw_fd(&fd));
    let mut byte = *b"x";
    let mut iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = [0_u64; 4];
    // SAFETY: all that the header points to is there until the call is done, and the control buffer
    // has room for two descriptors.
    answered(unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&mut iov, 1);
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size_of_val(&fds) as u32) as _;
        let message = libc::CMSG_FIRSTHDR(&header);
        (*message).cmsg_level = libc::SOL_SOCKET;
        (*message).cmsg_type = libc::SCM_RIGHTS;
        (*message).cmsg_len = libc::CMSG_LEN(size_of_val(&fds) as u32) as _;
        libc::CMSG_DATA(message).copy_from(fds.as_ptr().cast(), size_of_val(&fds));
        libc::sendmsg(AsRawFd::as_raw_fd(&socket), &header, libc::MSG_OOB | libc::MSG_NOSIGNAL)
    })
}

/// Sends a socket, twice in one message.
fn send(variant: Variant, inflight: &Node, receiver: &Node) -> Result<usize, Errno> {
    let fds = [inflight.socket.as_fd(); 2];
    if variant.oob {
        return send_oob(receiver.sender.as_fd(), &fds);
    }
    match afunix::send_fds(&receiver.sender, b"x", &fds) {
        Ok(sent) => Ok(sent.bytes),
        Err(error) => Err(error.errno()),
    }
}

/// The UNIX sockets of this network namespace.
fn sockets() -> usize {
    // Not of the process: it is this thread that has left.
    let table = std::fs::read_to_string("/proc/thread-self/net/protocols").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours: Vec<_> = rows.filter(|row| ["UNIX", "UNIX-STREAM"].contains(&row[0])).collect();
    assert_eq!(ours.len(), 2, "{table}");
    ours.iter().map(|row| row[2].parse::<usize>().unwrap()).sum()
}

/// Waits until there are none left; gives how many there are.
fn left_after(limit: Duration) -> usize {
    let start = Instant::now();
    loop {
        match sockets() {
            0 => return 0,
            left if start.elapsed() > limit => return left,
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The case, in a namespace without any sockets. Something of what was made may be kept open, `limit`
/// is how long the rest may take.
fn sends<K>(
    checks: &Checks,
    (variant, edges): (Variant, Edges),
    wanted: Result<usize, Errno>,
    limit: Duration,
    keep: impl FnOnce(&[Node]) -> K,
) -> Outcome {
    checks.same("sockets at the start", left_after(limit), 0)?;
    let last = edges.iter().map(|&(from, to)| from.max(to)).max().unwrap();
    let nodes: Vec<_> = (0..=last).map(|_| Node::new(variant).unwrap()).collect();
    let made = nodes.len() * Node::sockets(variant.kind);
    checks.same("sockets that were made", sockets(), made)?;
    for &(from, to) in edges {
        let sent = send(variant, &nodes[from], &nodes[to]);
        checks.same(format_args!("send {from} -> {to}"), sent, wanted)?;
    }
    checks.same("sockets that are open", sockets(), made)?;
    let kept = keep(&nodes);
    drop(nodes);
    checks.same("sockets at the end", left_after(limit), 0)?;
    drop(kept);
    Ok(())
}

/// Whether there may be such sockets, where nobody else has any.
fn is_possible(checks: &Checks) -> bool {
    let reason = if !leave_network() {
        "only root may make a network namespace"
    } else if UnixStream::pair().unwrap().0.passrights().is_err() {
        "descriptors cannot be refused before Linux 6.16"
    } else {
        return true;
    };
    checks.skip(reason).unwrap();
    false
}

/// Whether there may be receivers that take none.
fn can_disable(checks: &Checks) -> bool {
    checks.is_set(UnixStream::pair().unwrap().0.set_passrights(false))
}

fn collected(checks: &Checks, kind: Kind, oob: bool, disabled: bool, edges: Edges) -> Outcome {
    if !is_possible(checks) || (disabled && !can_disable(checks)) {
        return Ok(());
    }
    let wanted = if disabled { Err(Errno::PERM) } else { Ok(1) };
    let variant = Variant { kind, oob, disabled };
    sends(checks, (variant, edges), wanted, LONG / 4, |_| ())
}

macro_rules! graphs {
    ($($module:ident $kind:ident $oob:literal $disabled:literal),+ $(,)?) => {
        $(cases!($module:
            self_ref |checks| collected(checks, Kind::$kind, $oob, $disabled, SELF_REF),
            triangle |checks| collected(checks, Kind::$kind, $oob, $disabled, TRIANGLE),
            cross_edge |checks| collected(checks, Kind::$kind, $oob, $disabled, CROSS_EDGE),
            backtrack_from_scc |checks| {
                collected(checks, Kind::$kind, $oob, $disabled, BACKTRACK_FROM_SCC)
            },
        );)+
    };
}

graphs!(
    dgram Dgram false false,
    dgram_disabled Dgram false true,
    stream Stream false false,
    stream_disabled Stream false true,
    stream_oob Stream true false,
    stream_oob_disabled Stream true true,
    stream_listener Listener false false,
    stream_listener_disabled Listener false true,
    stream_listener_oob Listener true false,
    stream_listener_oob_disabled Listener true true,
);

/// What is still open keeps all the sockets that are in flight to it, and what may go goes.
fn wrong(checks: &Checks) -> Outcome {
    if !is_possible(checks) {
        return Ok(());
    }
    let can_disable = can_disable(checks);
    let short = Duration::from_millis(200);
    let open = Variant { kind: Kind::Stream, oob: false, disabled: false };
    for kind in [Kind::Dgram, Kind::Stream, Kind::Listener] {
        let variant = Variant { kind, ..open };
        checks.fails("sockets at the end: ", |checks| {
            sends(checks, (variant, TRIANGLE), Ok(1), short, |nodes| {
                nodes[0].socket.as_fd().try_clone_to_owned().unwrap()
            })
        })?;
        checks.same("sockets after the end", left_after(LONG / 4), 0)?;
        if can_disable {
            let variant = Variant { disabled: true, ..variant };
            checks.fails("send 0 -> 1: Err", |checks| {
                sends(checks, (variant, TRIANGLE), Ok(1), short, |_| ())
            })?;
        }
        let variant = Variant { oob: kind != Kind::Dgram, ..variant };
        checks.fails("send 0 -> 1: Ok", |checks| {
            sends(checks, (variant, TRIANGLE), Err(Errno::PERM), short, |_| ())
        })?;
    }
    Ok(())
}

cases!(control: wrong_expectations_fail wrong);
