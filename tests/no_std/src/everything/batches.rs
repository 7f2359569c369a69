//! Many messages in one call.

use core::fmt::Write;

use afunix::{
    AncillaryBuf, AsFd, BatchBuf, BatchFull, Errno, IoSlice, RecvError, SendError, Space, UnixAddr,
    UnixDatagram, UnixSeqpacket, UnixStream,
};

use crate::addr::digest;
use crate::check::{Failure, Names, is, opaque};
use crate::out::{Line, shows};
use crate::{check, get};

const ROOM: usize = Space::new().credentials().rights::<2>().bytes();

pub fn run() -> Result<(), Failure> {
    plain()?;
    addressed()?;
    controlled()?;
    seqpackets()?;
    streams()
}

fn plain() -> Result<(), Failure> {
    static NONE: BatchBuf<0> = BatchBuf::new();
    check!(NONE.capacity() == 0);
    shows(&NONE)?;
    let (a, b) = get!(UnixDatagram::pair());
    let mut memory: BatchBuf<4> = BatchBuf::default();
    let mut batch = memory.sender();
    check!(batch.is_empty() && batch.capacity() == 4 && batch.unsent() == 0);
    check!(a.send_batch(&mut batch) == Ok(0));
    check!(batch.push(opaque(b"one")).is_ok());
    let rest: [&[u8]; 4] = opaque([b"two", b"three", b"", b"five"]);
    let full: BatchFull = get!(batch.push_all(opaque(&rest[..])).err());
    check!(full.capacity == 4 && full.errno() == Errno::NOBUFS && digest(&full) != 0);
    let mut line = Line::new();
    check!(write!(line, "{full}").is_ok());
    shows(&full)?;
    let [first @ .., _] = &rest;
    check!(batch.push_all(opaque(&first[..])).is_ok());
    check!(batch.push(opaque(b"six")).is_err());
    check!(batch.len() == 4 && batch.sent() == 0);
    check!(a.send_batch(opaque(&mut batch)) == Ok(4));
    check!(batch.sent() == 4 && batch.unsent() == 0);
    batch.rewind();
    batch.skip();
    check!(a.send_batch(&mut batch) == Ok(3));
    shows(&batch)?;
    batch.clear();
    check!(batch.is_empty());

    let mut bufs = [[0; 4]; 4];
    let mut batch = memory.receiver();
    check!(batch.is_empty() && batch.capacity() == 4);
    check!(b.recv_batch(&mut batch).is_ok_and(|mut messages| messages.next().is_none()));
    let [head, rest @ ..] = &mut bufs;
    check!(batch.push(opaque(&mut head[..])).is_ok());
    check!(batch.push_all(opaque(&mut rest[..])).is_ok());
    check!(batch.len() == 4);
    let mut bytes = 0usize;
    let mut messages = get!(b.recv_batch(opaque(&mut batch)));
    check!(messages.len() == 4);
    shows(&messages)?;
    for mut message in messages.by_ref() {
        shows(&message)?;
        check!(message.from.is_none() && message.data.len() == message.received.bytes);
        check!(message.take_ancillary().is_ok_and(|mut got| got.take_fds().next().is_none()));
        bytes = bytes.wrapping_add(message.received.size);
    }
    drop(messages);
    check!(bytes == 11);
    check!(get!(b.recv_batch(&mut batch)).len() == 3);
    check!(batch.messages().len() == 3);
    check!(get!(batch.messages().next()).data == b"two");
    batch.set_nonblocking(opaque(true));
    shows(&batch)?;
    check!(is(b.recv_batch(&mut batch).map(drop), Errno::AGAIN));
    Ok(())
}

fn addressed() -> Result<(), Failure> {
    let names = Names::new()?;
    let (to, nobody) = (names.name(b'6')?, names.name(b'7')?);
    let inbox = get!(UnixDatagram::bind(&to));
    let (sender, name) = get!(UnixDatagram::autobind());
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.sender();
    for to in [&to, &nobody, &to] {
        check!(batch.push_to(opaque(b"letter"), opaque(to)).is_ok());
    }
    batch.set_nonblocking(true);
    check!(sender.send_batch(&mut batch) == Ok(1));
    check!(sender.send_batch(&mut batch) == Err(SendError::Kernel(Errno::CONNREFUSED)));
    batch.skip();
    check!(afunix::send_batch(&sender, &mut batch) == Ok(1));

    let (mut bufs, mut froms) = ([[0; 4]; 3], [UnixAddr::UNNAMED; 3]);
    let mut batch = memory.receiver();
    for (buf, from) in bufs.iter_mut().zip(&mut froms) {
        check!(batch.push_from(opaque(buf), opaque(from)).is_ok());
    }
    let messages = get!(afunix::recv_batch(&inbox, &mut batch));
    check!(messages.len() == 2);
    for message in messages {
        check!(message.from == Some(&name) && message.received.is_truncated());
    }
    Ok(())
}

fn controlled() -> Result<(), Failure> {
    let (a, b) = get!(UnixSeqpacket::pair());
    let (mut one, mut three) = (AncillaryBuf::<64>::new(), AncillaryBuf::<64>::new());
    let (mut one, mut three) = (one.writer(), three.writer());
    check!(one.push_fds(&[a.as_fd()]).is_ok() && three.push_fds(&[b.as_fd(); 3]).is_ok());
    let data = [IoSlice::new(opaque(b"head")), IoSlice::new(opaque(b"body"))];
    let mut memory = BatchBuf::<4>::new();
    let mut batch = memory.sender();
    for ancillary in [&one, &three, &three, &one] {
        check!(batch.push_with(opaque(&data), opaque(ancillary), None).is_ok());
    }
    check!(a.send_batch(&mut batch) == Ok(4));

    let mut bufs = [[0; 16]; 4];
    let mut controls = [const { AncillaryBuf::<ROOM>::new() }; 4];
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(&mut controls) {
        check!(batch.push_with(opaque(buf), opaque(control), None).is_ok());
    }
    let mut messages = get!(b.recv_batch(&mut batch));
    let mut ancillary = get!(get!(messages.next()).take_ancillary());
    check!(ancillary.take_fds_exact::<1>().is_ok());
    // Room for two descriptors, or for five where the credentials do not come.
    check!(get!(messages.next()).take_ancillary_lossy().take_fds().next().is_some());
    let third = get!(messages.next()).take_ancillary().map(drop);
    check!(matches!(third, Ok(()) | Err(RecvError::ControlTruncated { .. })));
    // The last is left to be dropped.
    Ok(())
}

/// An empty message, and the end, which looks the same.
fn seqpackets() -> Result<(), Failure> {
    let (a, b) = get!(UnixSeqpacket::pair());
    let (mut memory, mut bufs) = (BatchBuf::<3>::new(), [[0; 4]; 3]);
    let mut batch = memory.receiver();
    check!(batch.push_all(&mut bufs).is_ok());
    for _ in 0..3 {
        check!(a.send(opaque(b"")) == Ok(0));
    }
    check!(get!(b.recv_batch(&mut batch)).len() == 3);
    drop(a);
    check!(get!(b.recv_batch(&mut batch)).len() == 1);
    check!(get!(afunix::recv_batch(&b, &mut batch)).len() == 1);
    Ok(())
}

fn streams() -> Result<(), Failure> {
    let (a, b) = get!(UnixStream::pair());
    let mut control = AncillaryBuf::<64>::new();
    let mut writer = control.writer();
    check!(writer.push_fds(&[b.as_fd()]).is_ok());
    let mut memory = BatchBuf::<2>::new();
    let mut batch = memory.sender();
    check!(batch.push_with(&[], opaque(&writer), None).is_ok());
    check!(afunix::send_batch(&a, &mut batch) == Err(SendError::NoData { fds: 1 }));
    batch.clear();
    let much = [[0; 4096]; 2];
    check!(batch.push_all(&much).is_ok() && a.set_nonblocking(true).is_ok());
    // Until only a part of one goes.
    let short = loop {
        batch.rewind();
        match afunix::send_batch(&a, &mut batch) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    check!(matches!(short, SendError::Short { .. } | SendError::Kernel(Errno::AGAIN)));
    check!(short.errno() == Errno::AGAIN);
    let mut line = Line::new();
    check!(write!(line, "{short}").is_ok());
    Ok(())
}
