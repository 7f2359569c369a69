//! How many system calls each call with a deadline makes, and which: as `Deadline` says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use afunix::{
    AncillaryBuf, AsFd, Deadline, IoSlice, IoSliceMut, RecvOptions, SendOptions, Shutdown,
    UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixStream,
};

use crate::common::Watchdog;
use crate::common::trace::{Run, traced};
use crate::poll::{peek, peeked_out, poll, urgent};
use crate::ways::{crowded, far, fill, limit_descriptors, past};

/// A call, and the system calls that it makes.
type Operation = (&'static str, &'static str, Run);

fn of(calls: &'static str, name: &'static str, run: impl Fn() + 'static) -> Operation {
    (name, calls, Box::new(run))
}

macro_rules! operations {
    ($all:ident, $($socket:ident),+: $($calls:literal $call:expr;)+) => {{
        $(let $socket: &'static _ = Box::leak(Box::new($socket));)+
        $all.extend([$(of($calls, stringify!($call), move || { let _ = $call; })),+]);
    }};
}

fn recv_with(fd: impl AsFd, deadline: Deadline) {
    let (mut buf, mut control) = ([0; 8], AncillaryBuf::<64>::new());
    let options = RecvOptions::new().deadline(deadline);
    let _ = afunix::recv_with(fd, &mut [IoSliceMut::new(&mut buf)], &mut control, options);
}

fn send_with(fd: impl AsFd, options: SendOptions<'_>) {
    let mut none = AncillaryBuf::<0>::new();
    let _ = afunix::send_with(fd, &[IoSlice::new(b"x")], &none.writer(), options);
}

fn short() -> Deadline {
    Deadline::after(Duration::from_millis(20)).unwrap()
}

/// What is made with `short()` begins with the `clock_gettime` that this is.
fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    let (past, far) = (past(), far());
    all.push(of("clock_gettime clock_gettime", "Deadline::after", || {
        assert!(short() > crate::ways::past())
    }));
    all.push(of("clock_gettime", "remaining", move || assert!(far.remaining().is_ok())));

    let (a, b) = UnixStream::pair().unwrap();
    operations! { all, a, b:
        "sendto" a.write_deadline(b"word", far);
        "recvfrom" b.read_deadline(&mut [0; 8], far);
        "sendto" a.write_deadline(b"word", past);
        "recvfrom" b.read_deadline(&mut [0; 8], past);
        "recvfrom clock_gettime ppoll" b.read_deadline(&mut [0; 8], past);
        "read" b.read_deadline(&mut [], past);
        "sendmsg" send_with(a, SendOptions::new().deadline(past));
        "recvmsg" recv_with(b, past);
        "recvmsg clock_gettime ppoll" recv_with(b, past);
        "clock_gettime recvfrom clock_gettime ppoll recvfrom clock_gettime"
            b.read_deadline(&mut [0; 8], short());
        "clock_gettime recvmsg clock_gettime ppoll recvmsg clock_gettime" recv_with(b, short());
    }
    let (a, b) = UnixSeqpacket::pair().unwrap();
    fill(&a);
    operations! { all, a, b:
        "sendto clock_gettime" a.send_deadline(b"x", past);
        "sendmsg clock_gettime" send_with(a, SendOptions::new().deadline(past));
        "clock_gettime sendto clock_gettime ppoll sendto clock_gettime"
            a.send_deadline(b"x", short());
        "recvfrom" b.recv_deadline(&mut [0; 8], past);
    }
    let (a, b) = UnixDatagram::pair().unwrap();
    b.shutdown(Shutdown::Read).unwrap();
    operations! { all, a, b:
        "sendto" a.send_deadline(b"x", past);
        "recvfrom clock_gettime ppoll recvfrom" b.recv_from_deadline(&mut [0; 8], past);
        "recvmsg clock_gettime ppoll recvmsg" recv_with(b, far);
    }
    to_addresses(&mut all, past);
    connections(&mut all, past, far);
    all
}

fn to_addresses(all: &mut Vec<Operation>, past: Deadline) {
    let (inbox, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    let to = SendOptions::new().to(Box::leak(Box::new(there)));
    operations! { all, sender, inbox:
        "sendto" sender.send_to_deadline(b"x", &there, past);
        "sendmsg" send_with(sender, to.deadline(past));
        "recvfrom" inbox.recv_deadline(&mut [0; 8], past);
        "recvfrom" inbox.recv_deadline(&mut [0; 8], past);
    }
    let (_inbox, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    while sender.send_to_deadline(b"x", &there, past).is_ok() {}
    let to = SendOptions::new().to(Box::leak(Box::new(there)));
    std::mem::forget(_inbox);
    operations! { all, sender:
        "sendto clock_gettime" sender.send_to_deadline(b"x", &there, past);
        "clock_gettime sendto clock_gettime socket connect ppoll sendto clock_gettime close"
            sender.send_to_deadline(b"x", &there, short());
        "clock_gettime sendmsg clock_gettime socket connect ppoll sendmsg clock_gettime close"
            sender.send_with(&[IoSlice::new(b"x")], &AncillaryBuf::<0>::new().writer(),
                to.deadline(short()));
        "clock_gettime sendmsg getsockopt clock_gettime socket connect ppoll sendmsg clock_gettime close"
            send_with(sender, to.deadline(short()));
    }
}

fn connections(all: &mut Vec<Operation>, past: Deadline, far: Deadline) {
    let (listener, server) = UnixListener::autobind().unwrap();
    operations! { all, listener:
        "fcntl" listener.accept_deadline(far);
        "ioctl" listener.set_nonblocking(true);
        "fcntl accept4 clock_gettime ppoll" listener.accept_deadline(past);
        "clock_gettime fcntl accept4 clock_gettime ppoll fcntl accept4 clock_gettime"
            listener.accept_deadline(short());
        "socket connect ioctl" UnixStream::connect_deadline(&server, past).map(std::mem::forget);
        "fcntl accept4" listener.accept_deadline(past).map(std::mem::forget);
        "shutdown" listener.shutdown(Shutdown::Read);
        "fcntl accept4 clock_gettime ppoll fcntl accept4" listener.accept_deadline(far);
    }
    let (listener, server, clients) = crowded::<UnixSeqpacket>();
    static START: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(move || {
        while !START.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
        drop((listener.accept(), listener.accept(), clients));
        std::thread::sleep(Duration::from_secs(60));
    });
    operations! { all, server:
        "socket connect clock_gettime close" UnixSeqpacket::connect_deadline(server, past);
        "clock_gettime socket connect clock_gettime ioctl setsockopt connect clock_gettime close"
            UnixSeqpacket::connect_deadline(server, short());
        "" START.store(true, Ordering::Relaxed);
        "socket connect clock_gettime ioctl setsockopt connect setsockopt"
            UnixSeqpacket::connect_deadline(server, far).map(std::mem::forget);
    }
}

#[test]
fn each_call_makes_just_its_system_calls() {
    const TEST: &str = "calls::each_call_makes_just_its_system_calls";
    let _watchdog = Watchdog::new();
    let runs = || operations().into_iter().map(|(_, _, run)| run).collect();
    let Some(made) = traced(TEST, runs) else { return };
    for ((name, expected, _), made) in operations().into_iter().zip(made) {
        // std looks at what it closes, where it is built for debugging.
        let names = made.names().replace("fcntl close", "close");
        assert_eq!(names, expected, "{name} made {made:#?}");
    }
}

/// The loop that everybody writes.
fn without_rest(sender: &UnixDatagram, there: &UnixAddr, until: Deadline) {
    while until.remaining().unwrap() > Duration::ZERO {
        assert_eq!(poll(sender, libc::POLLOUT, 300), libc::POLLOUT);
        send_with(sender, SendOptions::new().to(there).nonblocking());
    }
}

/// Sockets of which `poll` says the same for ever, though there is nothing to be had.
fn hazards() -> Vec<Operation> {
    let wait = || Deadline::after(Duration::from_millis(300)).unwrap();
    let mut all = Vec::new();
    let (_inbox, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    while sender.send_to_deadline(b"x", &there, past()).is_ok() {}
    std::mem::forget(_inbox);
    let streams = peeked_out::<UnixStream>().unwrap();
    let packets = peeked_out::<UnixSeqpacket>().unwrap();
    let (datagrams, urgent) = (peeked_out::<UnixDatagram>().unwrap(), urgent());
    operations! { all, sender, streams, packets, datagrams, urgent:
        "control" without_rest(sender, &there, wait());
        "" sender.send_to_deadline(b"x", &there, wait());
        "" peek(&streams.1, wait());
        "" peek(&packets.1, wait());
        "" peek(&datagrams.1, wait());
        "" peek(&urgent.1, wait());
        "" urgent.1.read_deadline(&mut [0; 8], wait());
        "" limit_descriptors(0);
        "" sender.send_to_deadline(b"x", &there, wait());
    }
    all
}

#[test]
fn nothing_spins() {
    const TEST: &str = "calls::nothing_spins";
    let _watchdog = Watchdog::new();
    let runs = || hazards().into_iter().map(|(_, _, run)| run).collect();
    let Some(made) = traced(TEST, runs) else { return };
    let counts: Vec<_> =
        hazards().iter().zip(made).map(|(of, made)| (of.0, made.0.len())).collect();
    println!("{counts:?}");
    let control = counts[0].1;
    for (name, count) in counts[1..].iter().filter(|(name, _)| !name.starts_with("limit")) {
        assert!(*count >= 5 && count * 2 < control, "{name} made {count} calls of {control}");
    }
}
