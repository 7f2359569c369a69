//! The end of a connection, with which the kernel fills what is left of a batch. See "An end fills the
//! rest of a batch" in `kernel.md`.

use std::mem::size_of;

use afunix::{
    AncillaryBuf, AsFd, AsRawFd, BatchBuf, Errno, RecvError, Shutdown, Space, UnixAddr,
    UnixDatagram, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};

use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::common::kinds::{Data, Socket};
use crate::common::passes::Passes;
use crate::common::{Watchdog, close, passes_in_child};
use crate::ways::{Free, Method, Way, texts};

const ROOM: usize = Space::new().credentials().rights::<2>().bytes();

type Control = AncillaryBuf<ROOM>;

/// How long each message is that one receive into four buffers gives.
fn lengths<W: Way>(socket: &W) -> Vec<usize> {
    let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 8]; 4]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    let messages = socket.recv_batch(&mut batch).unwrap();
    messages.map(|message| message.data.len()).collect()
}

/// As [`lengths`], with room for control messages and addresses. Whether there are credentials, too.
fn attested<W: Way>(socket: &W) -> Vec<(usize, bool)> {
    let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 8]; 4]);
    let (mut controls, mut froms) = ([const { Control::new() }; 4], [UnixAddr::UNNAMED; 4]);
    let mut batch = memory.receiver();
    for ((buf, control), from) in bufs.iter_mut().zip(&mut controls).zip(&mut froms) {
        batch.push_with(buf, control, Some(from)).unwrap();
    }
    let told = |mut message: afunix::BatchMessage<'_>| {
        (message.data.len(), message.take_ancillary().unwrap().credentials().is_some())
    };
    socket.recv_batch(&mut batch).unwrap().map(told).collect()
}

/// The kernel's own answer, without the crate.
fn raw_lengths(socket: &impl AsRawFd) -> Vec<u32> {
    let mut bufs = [[0u8; 8]; 4];
    let mut pieces =
        bufs.each_mut().map(|buf| libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: 8 });
    // SAFETY: zeros are a value of it, and each header points to a piece that outlives the call.
    unsafe {
        let mut headers: [libc::mmsghdr; 4] = std::mem::zeroed();
        for (header, piece) in headers.iter_mut().zip(&mut pieces) {
            (header.msg_hdr.msg_iov, header.msg_hdr.msg_iovlen) = (piece, 1);
        }
        let (fd, flags) = (socket.as_raw_fd(), libc::MSG_WAITFORONE as _);
        let count = libc::recvmmsg(fd, headers.as_mut_ptr(), 4, flags, std::ptr::null_mut());
        assert!(count > 0, "{}", std::io::Error::last_os_error());
        headers[..count as usize].iter().map(|header| header.msg_len).collect()
    }
}

for_ways!(
    the_kernel_fills_what_is_left: seqpacket Method UnixSeqpacket, stream_by_fd Free UnixStream
);
fn the_kernel_fills_what_is_left<W: Way>(_: &str) {
    let (a, b) = W::pair();
    a.put(b"data").unwrap();
    close(a);
    assert_eq!(raw_lengths(&*b), [4, 0, 0, 0]);
    assert_eq!(raw_lengths(&*b), [0; 4]);
}

for_seqpacket_ways!(
    empty_messages_of_a_live_connection_are_all_told
    a_closed_peer_is_one_message_of_nothing
    empty_messages_before_the_end_are_one_with_it
    with_credentials_empty_messages_are_told_from_the_end
    empty_messages_without_room_for_credentials_are_told_from_the_end_even_so
    empty_messages_of_a_named_peer_are_told_from_the_end
);

fn empty_messages_of_a_live_connection_are_all_told<W: Way>(_: &str) {
    let (a, b) = W::pair();
    for count in 1..=4 {
        (0..count).for_each(|_| assert_eq!(a.put(b""), Ok(0)));
        assert_eq!(lengths(&b), vec![0; count]);
    }
    // Nor does data among them matter.
    for message in [b"one", &b""[..], b"two", b""] {
        a.put(message).unwrap();
    }
    assert_eq!(lengths(&b), [3, 0, 3, 0]);
}

fn a_closed_peer_is_one_message_of_nothing<W: Way>(_: &str) {
    for sent in 0..=5 {
        let (a, b) = W::pair();
        (0..sent).for_each(|_| assert_eq!(a.put(b"data"), Ok(4)));
        close(a);
        let mut expected = vec![4; sent];
        expected.push(0);
        let (first, rest) = expected.split_at(expected.len().min(4));
        assert_eq!(lengths(&b), first, "{sent}");
        if !rest.is_empty() {
            assert_eq!(lengths(&b), rest, "{sent}");
        }
        assert_eq!(lengths(&b), [0], "{sent}");
    }
}

fn empty_messages_before_the_end_are_one_with_it<W: Way>(_: &str) {
    let (a, b) = W::pair();
    for message in [b"data", &b""[..]] {
        a.put(message).unwrap();
    }
    close(a);
    assert_eq!(lengths(&b), [4, 0]);
    assert_eq!(lengths(&b), [0]);
    // In front of data it is not at the end of the batch.
    let (a, b) = W::pair();
    for message in [b"", &b"data"[..]] {
        a.put(message).unwrap();
    }
    close(a);
    assert_eq!(lengths(&b), [0, 4, 0]);
}

fn with_credentials_empty_messages_are_told_from_the_end<W: Way>(_: &str) {
    for sent in 0..=4 {
        let (a, b) = W::pair();
        b.set_passcred(true).unwrap();
        (0..sent).for_each(|_| assert_eq!(a.put(b""), Ok(0)));
        close(a);
        let mut expected = vec![(0, true); sent];
        expected.push((0, false));
        let (first, rest) = expected.split_at(expected.len().min(4));
        assert_eq!(attested(&b), first, "{sent}");
        if !rest.is_empty() {
            assert_eq!(attested(&b), rest, "{sent}");
        }
    }
}

/// See "Without room for what was asked for, each receive is truncated" in `kernel.md`.
fn empty_messages_without_room_for_credentials_are_told_from_the_end_even_so<W: Way>(_: &str) {
    let (a, b) = W::pair();
    b.set_passcred(true).unwrap();
    a.put(b"").unwrap();
    a.put(b"").unwrap();
    close(a);
    assert_eq!(lengths(&b), [0; 3]);
}

fn empty_messages_of_a_named_peer_are_told_from_the_end<W: Way<Socket = UnixSeqpacket>>(_: &str) {
    let (listener, name) = UnixSeqpacketListener::autobind().unwrap();
    let client = W::from(UnixSeqpacket::connect(&name).unwrap());
    let (server, _) = listener.accept().unwrap();
    server.send(b"").unwrap();
    server.send(b"").unwrap();
    close(server);
    assert_eq!(attested(&client), [(0, false); 3]);
    assert_eq!(attested(&client), [(0, false)]);
}

for_ways!(
    the_end_of_a_stream_is_told_once: stream_by_fd Free UnixStream
);
fn the_end_of_a_stream_is_told_once<W: Way>(_: &str) {
    let (a, b) = W::pair();
    // Buffer by buffer.
    a.put(b"0123456789").unwrap();
    assert_eq!(lengths(&b), [8, 2]);
    a.put(b"0123456789").unwrap();
    close(a);
    assert_eq!(lengths(&b), [8, 2, 0]);
    assert_eq!(lengths(&b), [0]);
}

#[test]
fn the_end_of_a_stream_attests_nobody() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    b.set_passcred(true).unwrap();
    let b = Free::from(b);
    a.write(b"0123456789").unwrap();
    close(a);
    assert_eq!(attested(&b), [(8, true), (2, true), (0, false)]);
    assert_eq!(attested(&b), [(0, false)]);
}

/// What is missing of a message is missing, though the stream has ended behind it.
#[test]
fn what_a_stream_lost_before_its_end_is_told() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let other = UnixStream::unbound().unwrap();
    a.send_fds(b"data", &[other.as_fd(); 20]).unwrap();
    close(a);
    let (mut memory, mut bufs) = (BatchBuf::<2>::new(), [[0; 8]; 2]);
    let mut controls = [const { Control::new() }; 2];
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(&mut controls) {
        batch.push_with(buf, control, None).unwrap();
    }
    let mut messages = afunix::recv_batch(&b, &mut batch).unwrap();
    let mut first = messages.next().unwrap();
    assert_eq!(first.data, b"data");
    let answer = first.take_ancillary().map(drop);
    if !left_out_by_qemu(CUT) {
        let error = answer.unwrap_err();
        let told = matches!(error, RecvError::ControlTruncated { bytes: 4, size: 4, .. });
        assert!(told, "{error:?}");
    }
    let mut end = messages.next().unwrap();
    assert_eq!(end.received.size, 0);
    assert_eq!(end.take_ancillary().unwrap().fds().count(), 0);
    assert!(messages.next().is_none());
}

/// See "Reading nothing" in `kernel.md`: a buffer of no bytes cannot tell of the end.
#[test]
fn empty_buffers_do_not_hide_the_end_of_a_stream() {
    let _watchdog = Watchdog::new();
    for (rooms, expected) in [
        (&[0usize, 8, 0, 8][..], &[0usize, 3, 0, 0][..]),
        (&[8, 0], &[3, 0]),
        (&[8, 8, 0], &[3, 0]),
        (&[8, 0, 8, 8, 0, 8], &[3, 0, 0]),
    ] {
        let (a, b) = UnixStream::pair().unwrap();
        a.write(b"end").unwrap();
        close(a);
        let mut bufs: Vec<Vec<u8>> = rooms.iter().map(|room| vec![0; *room]).collect();
        let mut memory = BatchBuf::<6>::new();
        let mut batch = memory.receiver();
        batch.push_all(&mut bufs).unwrap();
        let got: Vec<_> =
            afunix::recv_batch(&b, &mut batch).unwrap().map(|got| got.data.len()).collect();
        assert_eq!(got, expected, "{rooms:?}");
    }
}

/// A receive of nothing, while there is data, comes with the credentials of who sent that.
#[test]
fn empty_buffers_on_a_stream_attest_who_sent() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    b.set_passcred(true).unwrap();
    a.write(b"data").unwrap();
    let (mut nothing, mut buf) = ([0; 0], [0; 8]);
    let (mut first, mut second) = (Control::new(), Control::new());
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.receiver();
    batch.push_with(&mut nothing, &mut first, None).unwrap();
    batch.push_with(&mut buf, &mut second, None).unwrap();
    for mut message in afunix::recv_batch(&b, &mut batch).unwrap() {
        assert!(message.take_ancillary().unwrap().credentials().is_some(), "{message:?}");
    }
}

for_datagram_ways!(empty_datagrams_are_all_told_whatever_else_is_wrong);
fn empty_datagrams_are_all_told_whatever_else_is_wrong<W: Way<Socket = UnixDatagram>>(_: &str) {
    // The receiver wants no more.
    let (a, b) = W::pair();
    (0..4).for_each(|_| assert_eq!(a.put(b""), Ok(0)));
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(lengths(&b), [0; 4]);
    // The sender is gone.
    let (a, b) = W::pair();
    (0..4).for_each(|_| assert_eq!(a.put(b""), Ok(0)));
    close(a);
    assert_eq!(lengths(&b), [0; 4]);
}

for_ways!(a_socket_that_receives_no_more_is_at_its_end);
fn a_socket_that_receives_no_more_is_at_its_end<W: Way>(_: &str) {
    let (a, b) = W::pair();
    a.put(b"data").unwrap();
    b.shutdown(Shutdown::Read).unwrap();
    if W::IS_DATAGRAM {
        assert_eq!(lengths(&b), [4]);
        // What waits gets nothing, as by a receive of one; what does not, `EAGAIN`.
        assert_eq!(lengths(&b), [0]);
        b.set_nonblocking(true).unwrap();
        let (mut memory, mut buf) = (BatchBuf::<1>::new(), [0; 8]);
        let mut batch = memory.receiver();
        batch.push(&mut buf).unwrap();
        assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
    } else {
        assert_eq!(lengths(&b), [4, 0]);
        assert_eq!(lengths(&b), [0]);
    }
}

for_ways!(what_is_behind_the_end_keeps_its_bytes:
    seqpacket Method UnixSeqpacket, seqpacket_by_fd Free UnixSeqpacket, stream_by_fd Free UnixStream
);
fn what_is_behind_the_end_keeps_its_bytes<W: Way>(_: &str) {
    let (a, b) = W::pair();
    b.set_passcred(true).unwrap();
    a.put(b"data").unwrap();
    close(a);
    let before = crate::common::name("before");
    let (mut memory, mut bufs, mut froms) = (BatchBuf::<4>::new(), [[0xee; 4]; 4], [before; 4]);
    let mut batch = memory.receiver();
    for (buf, from) in bufs.iter_mut().zip(&mut froms) {
        batch.push_from(buf, from).unwrap();
    }
    assert_eq!(b.recv_batch(&mut batch).unwrap().len(), 2);
    drop(batch);
    assert_eq!(bufs, [*b"data", [0xee; 4], [0xee; 4], [0xee; 4]]);
    assert_eq!(froms, [UnixAddr::UNNAMED; 4]);
}

/// A batch of one buffer has no other end to be told from.
#[test]
fn a_batch_of_one_tells_the_end_like_a_receive() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    a.send(b"").unwrap();
    close(a);
    let b = Method::from(b);
    let (mut memory, mut buf) = (BatchBuf::<1>::new(), [0; 8]);
    let mut batch = memory.receiver();
    batch.push(&mut buf).unwrap();
    for _ in 0..3 {
        assert_eq!(b.recv_batch(&mut batch).map(texts), Ok(vec![Vec::new()]));
    }
    assert!(size_of::<Control>() >= ROOM);
}

/// What is queued behind them is no end: all before it were messages.
#[test]
fn empty_messages_before_data_of_a_closed_peer_are_all_told() {
    let _watchdog = Watchdog::new();
    let (a, b) = Method::<UnixSeqpacket>::pair();
    for text in ["one", "", "", "", "data"] {
        a.put(text.as_bytes()).unwrap();
    }
    close(a);
    assert_eq!(lengths(&b), [3, 0, 0, 0]);
    assert_eq!(lengths(&b), [4, 0]);
    assert_eq!(lengths(&b), [0]);
}

/// In a sandbox where no descriptor may be opened, nor asked about: there nothing is taken for the end that
/// may be a message.
#[test]
fn empty_messages_are_all_told_where_poll_may_not_be_asked() {
    passes_in_child("ends::empty_messages_are_all_told_where_poll_may_not_be_asked", || {
        let (a, b) = Method::<UnixSeqpacket>::pair();
        (0..4).for_each(|_| assert_eq!(a.put(b""), Ok(0)));
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a value to be read.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) }, 0);
        assert_eq!(lengths(&b), [0, 0, 0, 0]);
    });
}
