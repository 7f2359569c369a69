//! What arrives is what was sent, in order, whichever way either was done.

use std::os::unix::net;

use afunix::{
    AncillaryBuf, AsFd, BatchBuf, BorrowedFd, IoSlice, UnixAddr, UnixDatagram, UnixSeqpacket,
    UnixStream,
};

use crate::common::kinds::Data;
use crate::common::{TempDir, Watchdog, name};
use crate::ways::{Method, Way, texts};

/// Different bytes, in messages of different lengths. A stream has no empty ones.
fn messages(count: usize, shortest: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|at| (0..at % 7 + shortest).map(|byte| (at * 31 + byte) as u8).collect())
        .collect()
}

/// Receives `expected` in one batch, each message into a buffer of just its size.
#[track_caller]
fn assert_comes<W: Way>(socket: &W, expected: &[Vec<u8>]) {
    let mut bufs: Vec<Vec<u8>> = expected.iter().map(|text| vec![0xee; text.len()]).collect();
    let mut memory = BatchBuf::<64>::new();
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    let messages = socket.recv_batch(&mut batch).unwrap();
    assert_eq!(messages.len(), expected.len());
    for (message, expected) in messages.zip(expected) {
        assert_eq!(message.data, expected);
        assert_eq!(
            (message.received.bytes, message.received.size),
            (expected.len(), expected.len())
        );
        assert_eq!(message.from, None);
    }
}

for_ways!(
    messages_that_were_pushed_come_in_order
    messages_that_were_pushed_together_come_in_order
    pieces_come_as_one_message
    messages_of_a_batch_are_received_one_by_one_and_the_other_way_round
);

fn messages_that_were_pushed_come_in_order<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let all = messages(50, usize::from(W::IS_STREAM));
    let mut memory = BatchBuf::<64>::new();
    let mut batch = memory.sender();
    for text in &all {
        batch.push(text).unwrap();
    }
    assert_eq!((batch.len(), batch.sent(), batch.unsent()), (50, 0, 50));
    assert_eq!(a.send_batch(&mut batch), Ok(50));
    assert_eq!((batch.len(), batch.sent(), batch.unsent()), (50, 50, 0));
    assert_comes(&b, &all);
}

fn messages_that_were_pushed_together_come_in_order<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let all = messages(50, usize::from(W::IS_STREAM));
    let (first, second) = all.split_at(20);
    let mut memory = BatchBuf::<64>::new();
    let mut batch = memory.sender();
    batch.push_all(first).unwrap();
    batch.push_all::<Vec<u8>>(&[]).unwrap();
    batch.push_all(second).unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(50));
    // All has gone: nothing is left to be sent, and more can be added behind.
    assert_eq!(a.send_batch(&mut batch), Ok(0));
    batch.push(b"more").unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(1));
    assert_comes(&b, &[&all[..], &[b"more".to_vec()]].concat());
}

fn pieces_come_as_one_message<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let mut none = AncillaryBuf::<0>::new();
    let none = none.writer();
    let pieces = [IoSlice::new(b"he"), IoSlice::new(b""), IoSlice::new(b"ad")];
    let mut memory = BatchBuf::<4>::new();
    let mut batch = memory.sender();
    batch.push(b"plain").unwrap();
    batch.push_with(&pieces, &none, None).unwrap();
    batch.push_with(&pieces[..1], &none, None).unwrap();
    batch.push(b"last").unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(4));
    assert_comes(&b, &[b"plain".to_vec(), b"head".to_vec(), b"he".to_vec(), b"last".to_vec()]);
}

fn messages_of_a_batch_are_received_one_by_one_and_the_other_way_round<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let all = messages(9, 1);
    let mut memory = BatchBuf::<9>::new();
    let mut batch = memory.sender();
    batch.push_all(&all).unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(9));
    for text in &all {
        let mut buf = vec![0; text.len()];
        assert_eq!(b.get(&mut buf), Ok(text.len()));
        assert_eq!(buf, *text);
        assert_eq!(a.put(text), Ok(text.len()));
    }
    assert_comes(&b, &all);
}

for_datagram_ways!(each_message_goes_to_its_own_address addresses_of_senders_come_with_messages);

fn each_message_goes_to_its_own_address<W: Way<Socket = UnixDatagram>>(_: &str) {
    let folder = TempDir::new();
    let (path, abstract_name) = (folder.addr("socket"), name("to"));
    let full = UnixAddr::from_abstract_name(&{
        let mut full = [b'f'; 107];
        full[..16].copy_from_slice(format!("{:016x}", std::process::id()).as_bytes());
        full[16..32].copy_from_slice(format!("{:016x}", crate::common::unique()).as_bytes());
        full
    })
    .unwrap();
    let (auto, auto_name) = UnixDatagram::autobind().unwrap();
    let inboxes = [
        UnixDatagram::bind(&path).unwrap(),
        UnixDatagram::bind(&abstract_name).unwrap(),
        UnixDatagram::bind(&full).unwrap(),
        auto,
    ];
    let names = [path, abstract_name, full, auto_name];
    // The peer is one of the receivers as well.
    let sender = W::from(UnixDatagram::unbound().unwrap());
    sender.connect(&names[3]).unwrap();
    let mut none = AncillaryBuf::<0>::new();
    let (none, pieces) = (none.writer(), [IoSlice::new(b"of "), IoSlice::new(b"two")]);
    let mut memory = BatchBuf::<16>::new();
    let mut batch = memory.sender();
    for name in &names {
        batch.push_to(b"first", name).unwrap();
    }
    batch.push(b"peer").unwrap();
    for name in &names {
        batch.push_with(&pieces, &none, Some(name)).unwrap();
    }
    assert_eq!(sender.send_batch(&mut batch), Ok(9));
    for (at, inbox) in inboxes.into_iter().enumerate() {
        let peer = (at == 3).then(|| b"peer".to_vec());
        let expected = [Some(b"first".to_vec()), peer, Some(b"of two".to_vec())];
        let expected: Vec<_> = expected.into_iter().flatten().collect();
        assert_comes(&Method::from(inbox), &expected);
    }
}

fn addresses_of_senders_come_with_messages<W: Way<Socket = UnixDatagram>>(_: &str) {
    let folder = TempDir::new();
    let long = crate::common::addr(folder.path_of_len(108));
    let senders = [
        UnixDatagram::bind(&folder.addr("sender")).unwrap(),
        UnixDatagram::unbound().unwrap(),
        UnixDatagram::bind(&name("from")).unwrap(),
        UnixDatagram::bind(&long).unwrap(),
        UnixDatagram::unbound().unwrap(),
        UnixDatagram::autobind().unwrap().0,
    ];
    let (inbox, to) = UnixDatagram::autobind().unwrap();
    let inbox = W::from(inbox);
    let (mut bufs, mut froms) = ([[0; 8]; 8], [name("before"); 8]);
    let before = froms[6];
    let mut memory = BatchBuf::<8>::new();
    let mut batch = memory.receiver();
    for (buf, from) in bufs.iter_mut().zip(&mut froms) {
        batch.push_from(buf, from).unwrap();
    }
    // Twice, in another order: see "Lengths are set anew for each message" in `kernel.md`.
    for turn in 0..2 {
        let order = || senders.iter().cycle().skip(turn).take(senders.len());
        for sender in order() {
            sender.send_to(b"hello", &to).unwrap();
        }
        let messages = inbox.recv_batch(&mut batch).unwrap();
        assert_eq!(messages.len(), senders.len());
        for (message, sender) in messages.zip(order()) {
            assert_eq!(message.data, b"hello");
            assert_eq!(message.from.copied(), Some(sender.local_addr().unwrap()));
        }
    }
    drop(batch);
    assert_eq!(froms[6..], [before; 2]);
    assert_eq!(froms[4], senders[5].local_addr().unwrap());
}

for_message_ways!(only_those_with_room_have_an_address);
fn only_those_with_room_have_an_address<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let (mut bufs, mut from) = ([[0; 8]; 3], name("before"));
    let [first, second, third] = &mut bufs;
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.receiver();
    batch.push(first).unwrap();
    batch.push_from(second, &mut from).unwrap();
    batch.push(third).unwrap();
    (0..3).for_each(|_| assert_eq!(a.put(b"x"), Ok(1)));
    let froms: Vec<_> = b.recv_batch(&mut batch).unwrap().map(|got| got.from.copied()).collect();
    assert_eq!(froms, [None, Some(UnixAddr::UNNAMED), None]);
}

/// Sockets of std are descriptors like any other.
#[test]
fn sockets_of_std_send_and_receive_batches() {
    fn lend(socket: &impl std::os::fd::AsRawFd) -> BorrowedFd<'_> {
        // SAFETY: it is open as long as the socket, which is borrowed.
        unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
    }
    let _watchdog = Watchdog::new();
    let ((a, b), (c, d)) = (net::UnixDatagram::pair().unwrap(), net::UnixStream::pair().unwrap());
    for (sender, receiver) in [(lend(&a), lend(&b)), (lend(&c), lend(&d))] {
        let mut memory = BatchBuf::<4>::new();
        let mut batch = memory.sender();
        batch.push_all(&["four", "more"]).unwrap();
        assert_eq!(afunix::send_batch(sender, &mut batch), Ok(2));
        let mut bufs = [[0; 4]; 4];
        let mut batch = memory.receiver();
        batch.push_all(&mut bufs).unwrap();
        let got = texts(afunix::recv_batch(receiver, &mut batch).unwrap());
        assert_eq!(got, [b"four", b"more"]);
    }
}

/// The types of this crate are descriptors to the free functions, however they are held.
#[test]
fn free_functions_take_whatever_has_a_descriptor() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let mut memory = BatchBuf::<1>::new();
    let mut batch = memory.sender();
    batch.push(b"x").unwrap();
    assert_eq!(afunix::send_batch(a.as_fd(), &mut batch), Ok(1));
    batch.rewind();
    assert_eq!(afunix::send_batch(&a, &mut batch), Ok(1));
    assert_eq!(b.read(&mut [0; 4]), Ok(2));
    let (a, b) = UnixSeqpacket::pair().unwrap();
    batch.rewind();
    assert_eq!(afunix::send_batch(&a, &mut batch), Ok(1));
    assert_eq!(b.recv(&mut [0; 4]).unwrap().size, 1);
}
