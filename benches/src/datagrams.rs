//! Datagrams, many at once and one at a time, with the crate.

use std::hint::black_box;

use afunix::{BatchBuf, UnixAddr, UnixDatagram};

use crate::{BATCH, MESSAGE};

/// A batch there and back; each message's length is looked at. Batches and buffers are used again.
pub fn batch_reused(count: u64) {
    let (a, b) = UnixDatagram::pair().expect("a pair");
    let messages = [[0x55; MESSAGE]; BATCH];
    let mut bufs = [[0; MESSAGE]; BATCH];
    let (mut send_memory, mut recv_memory) = (BatchBuf::<BATCH>::new(), BatchBuf::<BATCH>::new());
    let mut outgoing = send_memory.sender();
    outgoing.push_all(&messages).expect("room");
    let mut incoming = recv_memory.receiver();
    incoming.push_all(&mut bufs).expect("room");
    for _ in 0..count {
        outgoing.rewind();
        assert_eq!(a.send_batch(&mut outgoing).expect("sent"), BATCH);
        let mut bytes = 0;
        for message in b.recv_batch(&mut incoming).expect("received") {
            bytes += message.data.len();
        }
        black_box(bytes);
    }
}

/// As `batch_reused`, but the receiver is given its buffers for each batch.
pub fn batch_given_anew(count: u64) {
    let (a, b) = UnixDatagram::pair().expect("a pair");
    let messages = [[0x55; MESSAGE]; BATCH];
    let mut bufs = [[0; MESSAGE]; BATCH];
    let (mut send_memory, mut recv_memory) = (BatchBuf::<BATCH>::new(), BatchBuf::<BATCH>::new());
    let mut outgoing = send_memory.sender();
    outgoing.push_all(&messages).expect("room");
    for _ in 0..count {
        outgoing.rewind();
        assert_eq!(a.send_batch(&mut outgoing).expect("sent"), BATCH);
        let mut incoming = recv_memory.receiver();
        let bufs: &mut [_; BATCH] = black_box(&mut bufs);
        incoming.push_all(bufs).expect("room");
        let mut bytes = 0;
        for message in b.recv_batch(&mut incoming).expect("received") {
            bytes += message.data.len();
        }
        black_box(bytes);
    }
}

/// A sender that is bound to a path, and whom it sends to.
fn named() -> (Vec<u8>, UnixDatagram, UnixDatagram) {
    let path = crate::by_hand::fresh_path();
    let from = UnixAddr::from_pathname(&path).expect("a good path");
    let sender = UnixDatagram::bind(&from).expect("a fresh path");
    let (inbox, name) = UnixDatagram::autobind().expect("an inbox");
    sender.connect(&name).expect("connected");
    (path, sender, inbox)
}

/// One datagram sent, received, and its sender's path read.
pub fn sender_in_place(count: u64) {
    let (path, sender, inbox) = named();
    let message = [0x55; MESSAGE];
    let (mut buf, mut from) = ([0; MESSAGE], UnixAddr::UNNAMED);
    for _ in 0..count {
        let message: &[u8; MESSAGE] = black_box(&message);
        sender.send(message).expect("sent");
        let room: &mut [u8; MESSAGE] = black_box(&mut buf);
        black_box(inbox.recv_from_into(room, &mut from).expect("received").bytes);
        black_box(from.as_pathname().expect("a path"));
    }
    crate::by_hand::remove(&path);
}

/// As `sender_in_place`, the address being returned.
pub fn sender_by_value(count: u64) {
    let (path, sender, inbox) = named();
    let message = [0x55; MESSAGE];
    let mut buf = [0; MESSAGE];
    for _ in 0..count {
        let message: &[u8; MESSAGE] = black_box(&message);
        sender.send(message).expect("sent");
        let room: &mut [u8; MESSAGE] = black_box(&mut buf);
        match &inbox.recv_from(room) {
            Ok((received, from)) => {
                black_box(received.bytes);
                black_box(from.as_pathname().expect("a path"));
            }
            Err(error) => panic!("{error}"),
        }
    }
    crate::by_hand::remove(&path);
}
