//! How many system calls each operation makes, and which: no hidden ones.

use std::process::Command;
use std::time::Duration;

use afunix::{UnixDatagram, UnixListener, UnixSeqpacket, UnixStream};

use crate::common::emulated::{TRACE, left_out_by_qemu};
use crate::common::{TempDir, in_child, run, skip};

const TEST: &str = "calls::each_operation_makes_just_its_calls";

/// An operation, and the calls that it makes.
type Operation = (&'static str, &'static str, Box<dyn Fn()>);

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

/// A call that does nothing, and that a trace shows.
fn mark() {
    // SAFETY: a number alone; there is no such process.
    unsafe { libc::getpgid(MARK) };
}

const MARK: i32 = -4242;

#[test]
fn each_operation_makes_just_its_calls() {
    if std::env::var_os("AFUNIX_TEST_CHILD").is_some() {
        in_child(TEST, || {
            let operations = operations();
            mark();
            for (_, _, run) in &operations {
                run();
                mark();
            }
        });
    }
    if left_out_by_qemu(TRACE) {
        return;
    }
    let folder = TempDir::new();
    let trace = folder.join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&trace);
    command.arg(std::env::current_exe().unwrap());
    command.args([TEST, "--exact", "--nocapture", "--test-threads=1"]);
    command.env("AFUNIX_TEST_CHILD", TEST);
    let usable = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    if !usable.is_ok_and(|output| output.status.success()) {
        return skip("there is no strace that works here");
    }
    crate::common::assert_success(&run(&mut command));

    let trace = std::fs::read_to_string(&trace).unwrap();
    let mark = format!("getpgid({MARK})");
    let thread = trace.lines().find(|line| line.contains(&mark)).expect("a mark");
    let thread = thread.split_whitespace().next().unwrap();
    let calls = trace.lines().filter_map(|line| {
        let (of, call) = line.split_once(' ')?;
        let call = call.trim_start();
        (of == thread && !call.starts_with('<')).then_some(call)
    });
    let calls: Vec<&str> = calls.skip_while(|call| !call.starts_with(&mark)).skip(1).collect();
    let mut between = calls.split(|call| call.starts_with(&mark));
    for (name, expected, _) in operations() {
        let made = between.next().expect("a mark for each").to_vec();
        let names: Vec<_> = made.iter().filter_map(|call| call.split('(').next()).collect();
        // On 32-bit machines it has another name.
        let names = names.join(" ").replace("fcntl64", "fcntl");
        assert_eq!(names, expected, "{name} made {made:#?}");
    }
}
