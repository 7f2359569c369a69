//! How many system calls a batch makes, and which: one, and others only where the documentation says.

use afunix::{
    AncillaryBuf, AsFd, BatchBuf, IoSlice, Space, UnixDatagram, UnixSeqpacket, UnixStream,
};

use crate::common::kinds::Data;
use crate::common::passes::Passes;
use crate::common::trace::{mark, traced_between_marks};
use crate::ways::{Free, Method, Way};

const TEST: &str = "calls::a_batch_makes_just_its_calls";

type Control = AncillaryBuf<{ Space::new().credentials().rights::<4>().bytes() }>;

/// What is done, and the calls that it makes between two marks.
type Operation = (&'static str, &'static str, fn());

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
    batch.push_with(&pieces, &writer, None).unwrap();
    batch.push(b"last").unwrap();
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
        "recvmmsg poll ioctl" receives::<Packet>(&["a"], 8, false, true);
        "recvmmsg poll ioctl" receives::<Packet>(&["a"], 8, true, true);
        // They have credentials, so they are messages.
        "recvmmsg" receives::<Packet>(&["", ""], 2, true, false);

        "recvmmsg" receives::<AnyDatagram>(&["a", "b"], 8, true, false);
        "recvmmsg" receives::<AnyDatagram>(&["", ""], 8, false, false);
        "recvmmsg getsockopt" receives::<AnyDatagram>(&["", ""], 2, false, false);
        "recvmmsg getsockopt" receives::<AnyDatagram>(&["", ""], 8, true, false);
        "recvmmsg getsockopt poll" receives::<AnyPacket>(&["", ""], 2, false, false);
        "recvmmsg getsockopt poll ioctl" receives::<AnyPacket>(&["a"], 8, false, true);
        "recvmmsg" receives::<AnyStream>(&["abcd", "e"], 8, true, false);
        "recvmmsg" receives::<AnyStream>(&["abcd", "e"], 2, false, true);
        "recvmmsg getsockopt" receives::<AnyStream>(&["abcd", "e"], 3, false, true);
        "recvmmsg getsockopt" receives::<AnyStream>(&[], 8, true, true);
    }
}

#[test]
fn a_batch_makes_just_its_calls() {
    let runs = || operations().into_iter().for_each(|(_, _, run)| run());
    let Some(made) = traced_between_marks(TEST, runs) else { return };
    // Every other piece is what was done between the two marks of an operation.
    let mut made = made.into_iter().step_by(2);
    for (name, expected, _) in operations() {
        let made = made.next().expect("two marks for each");
        // On some machines there is only the newer one, and on 32-bit machines it has another name.
        let names = made.names().replace("ppoll", "poll").replace("_time64", "");
        assert_eq!(names, expected, "{name} made {made:#?}");
    }
}
