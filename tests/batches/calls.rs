//! How many system calls a batch makes, and which: one, and others only where the documentation says.

use std::process::Command;

use afunix::{
    AncillaryBuf, AsFd, BatchBuf, IoSlice, Space, UnixDatagram, UnixSeqpacket, UnixStream,
};

use crate::common::emulated::{TRACE, left_out_by_qemu};
use crate::common::kinds::Data;
use crate::common::passes::Passes;
use crate::common::{TempDir, in_child, run, skip};
use crate::ways::{Free, Method, Way};

const TEST: &str = "calls::a_batch_makes_just_its_calls";
const MARK: i32 = -4242;

type Control = AncillaryBuf<{ Space::new().credentials().rights::<4>().bytes() }>;

/// What is done, and the calls that it makes between two marks.
type Operation = (&'static str, &'static str, fn());

/// A call that does nothing, and that a trace shows.
fn mark() {
    // SAFETY: a number alone; there is no such process.
    unsafe { libc::getpgid(MARK) };
}

/// Sends some messages in a batch, between two marks.
fn sends<W: Way>(count: usize) {
    let (a, _b) = W::pair();
    let mut memory = BatchBuf::<8>::new();
    let mut batch = memory.sender();
    batch.push_all(&[b"text"; 8][..count]).unwrap();
    mark();
    let answer = a.send_batch(&mut batch);
    mark();
    assert_eq!(answer, Ok(count));
}

/// Sends descriptors with or without data.
fn sends_fds<W: Way>(data: &[u8]) {
    let (a, _b) = W::pair();
    let mut control = Control::new();
    let mut writer = control.writer();
    let other = UnixStream::unbound().unwrap();
    writer.push_fds(&[other.as_fd()]).unwrap();
    let pieces = [IoSlice::new(data)];
    let mut memory = BatchBuf::<2>::new();
    let mut batch = memory.sender();
    batch.push(b"first").unwrap();
    batch.push_with(&pieces, &writer, None).unwrap();
    mark();
    let answer = a.send_batch(&mut batch);
    mark();
    assert_eq!(answer.is_ok(), !(W::IS_STREAM && data.is_empty()));
}

/// Receives `texts` into `rooms` buffers, `attested` with room for control messages and credentials, the
/// sender gone if `closed`.
fn receives<W: Way>(texts: &[&str], rooms: usize, attested: bool, closed: bool) {
    let (a, b) = W::pair();
    b.set_passcred(attested).unwrap();
    texts.iter().for_each(|text| assert_eq!(a.put(text.as_bytes()), Ok(text.len())));
    let open = (!closed).then_some(a);
    let (mut bufs, mut controls) = ([[0; 4]; 8], [const { Control::new() }; 8]);
    let mut memory = BatchBuf::<8>::new();
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(&mut controls).take(rooms) {
        if attested {
            batch.push_with(buf, control, None).unwrap();
        } else {
            batch.push(buf).unwrap();
        }
    }
    mark();
    // Nothing more is asked for when messages are looked at.
    for mut message in b.recv_batch(&mut batch).unwrap() {
        drop(message.take_ancillary());
    }
    mark();
    drop(open);
}

macro_rules! operations {
    ($($calls:literal $call:expr;)+) => {
        vec![$((stringify!($call), $calls, (|| $call) as fn())),+]
    };
}

fn operations() -> Vec<Operation> {
    type Datagram = Method<UnixDatagram>;
    type Packet = Method<UnixSeqpacket>;
    type AnyDatagram = Free<UnixDatagram>;
    type AnyPacket = Free<UnixSeqpacket>;
    type AnyStream = Free<UnixStream>;
    operations! {
        "" sends::<Datagram>(0);
        "sendmmsg" sends::<Datagram>(8);
        "sendmmsg" sends::<Packet>(8);
        "sendmmsg" sends::<AnyDatagram>(8);
        "sendmmsg" sends::<AnyPacket>(8);
        "sendmmsg" sends::<AnyStream>(8);
        "sendmmsg" sends_fds::<Datagram>(b"");
        "sendmmsg" sends_fds::<Packet>(b"");
        "getsockopt sendmmsg" sends_fds::<AnyDatagram>(b"");
        "getsockopt sendmmsg" sends_fds::<AnyPacket>(b"");
        "getsockopt" sends_fds::<AnyStream>(b"");
        "sendmmsg" sends_fds::<AnyPacket>(b"data");
        "sendmmsg" sends_fds::<AnyStream>(b"data");

        "" receives::<Datagram>(&["a"], 0, false, false);
        "recvmmsg" receives::<Datagram>(&["a", "b"], 8, false, false);
        "recvmmsg" receives::<Datagram>(&["a", "b"], 8, true, false);
        "recvmmsg" receives::<Datagram>(&["", ""], 2, false, false);
        "recvmmsg" receives::<Datagram>(&["", ""], 2, true, true);
        "recvmmsg" receives::<Packet>(&["a", "b"], 8, false, false);
        "recvmmsg" receives::<Packet>(&["a", "b"], 8, true, false);
        // Buffers were left.
        "recvmmsg" receives::<Packet>(&["a", ""], 8, false, false);
        "recvmmsg" receives::<Packet>(&["", ""], 8, true, false);
        // One alone may be the end: nothing has to be left out.
        "recvmmsg" receives::<Packet>(&["a", ""], 2, false, false);
        "recvmmsg" receives::<Packet>(&["a"], 2, false, true);
        "recvmmsg poll" receives::<Packet>(&["", ""], 2, false, false);
        "recvmmsg poll" receives::<Packet>(&["a"], 8, false, true);
        "recvmmsg poll" receives::<Packet>(&["a"], 8, true, true);
        // They have credentials, so they are messages.
        "recvmmsg" receives::<Packet>(&["", ""], 2, true, false);

        "recvmmsg" receives::<AnyDatagram>(&["a", "b"], 8, true, false);
        "recvmmsg" receives::<AnyDatagram>(&["", ""], 8, false, false);
        "recvmmsg getsockopt" receives::<AnyDatagram>(&["", ""], 2, false, false);
        "recvmmsg getsockopt" receives::<AnyDatagram>(&["", ""], 8, true, false);
        "recvmmsg getsockopt poll" receives::<AnyPacket>(&["", ""], 2, false, false);
        "recvmmsg getsockopt poll" receives::<AnyPacket>(&["a"], 8, false, true);
        "recvmmsg" receives::<AnyStream>(&["abcd", "e"], 8, true, false);
        "recvmmsg" receives::<AnyStream>(&["abcd", "e"], 2, false, true);
        "recvmmsg getsockopt" receives::<AnyStream>(&["abcd", "e"], 3, false, true);
        "recvmmsg getsockopt" receives::<AnyStream>(&[], 8, true, true);
    }
}

#[test]
fn a_batch_makes_just_its_calls() {
    if std::env::var_os("AFUNIX_TEST_CHILD").is_some() {
        in_child(TEST, || {
            for (_, _, run) in operations() {
                run();
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
    let calls: Vec<&str> = calls.collect();
    // Every other piece is what was done between two marks.
    let mut between = calls.split(|call| call.starts_with(&mark)).skip(1).step_by(2);
    for (name, expected, _) in operations() {
        let made = between.next().expect("two marks for each").to_vec();
        let names: Vec<_> = made.iter().filter_map(|call| call.split('(').next()).collect();
        // On some machines there is only the newer one, and on 32-bit machines it has another name.
        let names = names.join(" ").replace("ppoll_time64", "poll").replace("ppoll", "poll");
        let names = names.replace("_time64", "");
        assert_eq!(names, expected, "{name} made {made:#?}");
    }
}
