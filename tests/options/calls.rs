//! How many system calls each operation makes, and which: no hidden ones.

use std::time::Duration;

use afunix::{UnixDatagram, UnixListener, UnixSeqpacket, UnixStream};

use crate::common::trace::{Run, traced};

const TEST: &str = "calls::each_operation_makes_just_its_calls";

/// An operation, and the calls that it makes.
type Operation = (&'static str, &'static str, Run);

fn of(calls: &'static str, name: &'static str, run: impl Fn() + 'static) -> Operation {
    (name, calls, Box::new(run))
}

macro_rules! operations {
    ($socket:ident: $($calls:literal $call:expr;)+) => {{
        let $socket: &'static _ = Box::leak(Box::new($socket));
        vec![$(of($calls, stringify!($call), move || { let _ = $call; })),+]
    }};
}

fn operations() -> Vec<Operation> {
    let limit = Some(Duration::from_secs(1));
    let (stream, other) = UnixStream::pair().unwrap();
    other.write(b"hello").unwrap();
    std::mem::forget(other);
    let mut all = operations! { stream:
        "setsockopt" stream.set_read_timeout(limit);
        "getsockopt" stream.read_timeout();
        "setsockopt" stream.set_write_timeout(limit);
        "getsockopt" stream.write_timeout();
        "" stream.set_read_timeout(Some(Duration::ZERO));
        "setsockopt" stream.set_send_buffer_size(1);
        "getsockopt" stream.send_buffer_size();
        "ioctl" stream.unread_memory();
        "ioctl" stream.bytes_readable();
        "setsockopt" stream.set_peek_offset(None);
        "" stream.set_peek_offset(Some(u32::MAX));
        "getsockopt" stream.peek_offset();
        "recvfrom" stream.peek(&mut [0; 2]);
        "setsockopt" stream.set_inq(false);
        "setsockopt" stream.set_passrights(true);
        "getsockopt" stream.passrights();
        "setsockopt" stream.set_passsec(false);
        "getsockopt" stream.passsec();
        "fcntl" stream.try_clone().map(std::mem::forget);
        "getsockname bind getsockname" stream.autobind_to();
        "getsockname" stream.autobind_to();
    };
    let (datagram, other) = UnixDatagram::pair().unwrap();
    other.send(b"hello").unwrap();
    std::mem::forget(other);
    all.extend(operations! { datagram:
        "recvfrom" datagram.peek(&mut [0; 2]);
        "ioctl" datagram.next_message_size();
        "getsockopt" datagram.max_message_size();
        "connect" datagram.disconnect();
    });
    let (packet, other) = UnixSeqpacket::pair().unwrap();
    other.send(b"hello").unwrap();
    std::mem::forget(other);
    all.extend(operations! { packet:
        "recvfrom" packet.peek(&mut [0; 2]);
        "ioctl" packet.bytes_readable();
        "getsockopt" packet.max_message_size();
    });
    let (listener, _) = UnixListener::autobind().unwrap();
    all.extend(operations! { listener:
        "setsockopt" listener.set_accept_timeout(limit);
        "getsockopt" listener.accept_timeout();
        "fcntl" listener.try_clone().map(std::mem::forget);
    });
    all
}

#[test]
fn each_operation_makes_just_its_calls() {
    let runs = || operations().into_iter().map(|(_, _, run)| run).collect();
    let Some(made) = traced(TEST, runs) else { return };
    for ((name, expected, _), made) in operations().into_iter().zip(made) {
        assert_eq!(made.names(), expected, "{name} made {made:#?}");
    }
}
