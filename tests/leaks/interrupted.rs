//! Calls that are interrupted, or would have to wait: nothing was sent and nothing taken, and the
//! descriptor arrives once when the call is made again.

use afunix::{
    AncillaryBuf, BorrowedFd, Errno, IoSlice, RecvError, RecvOptions, SendError, SendOptions, Sent,
    Space,
};

use crate::check::Parcel;
use crate::common::interrupt::interrupt;
use crate::common::{name, open_fds};
use crate::ways::Passing;

leak_tests!(
    receive_that_is_interrupted_takes_nothing
    receive_that_would_wait_takes_nothing
    send_that_is_interrupted_sends_nothing
    send_that_would_wait_sends_nothing
    send_that_stops_half_way_has_sent_the_descriptors_once
);

type Control = AncillaryBuf<{ Space::new().credentials().rights::<2>().pidfd().bytes() }>;

/// A receive, and how many descriptors it gave; which are closed.
type Receive<P> = fn(&P, &mut [u8]) -> Result<usize, RecvError>;

/// Each call that receives descriptors.
fn receives<P: Passing>() -> [Receive<P>; 5] {
    fn with<P: Passing>(
        b: &P,
        buf: &mut [u8],
        options: RecvOptions<'_>,
    ) -> Result<usize, RecvError> {
        let mut control = Control::new();
        let (_, ancillary) = b.take(buf, &mut control, options)?;
        Ok(ancillary.fds().count())
    }
    [
        |b, buf| b.recv_fds::<1>(buf).map(|(_, fds)| fds.len()),
        |b, buf| b.recv_fds_exact::<1>(buf).map(|(_, fds)| fds.len()),
        |b, buf| with(b, buf, RecvOptions::new()),
        |b, buf| with(b, buf, RecvOptions::new().lossy()),
        |b, buf| {
            let before = name("before");
            let mut from = before;
            let answer = with(b, buf, RecvOptions::new().from(&mut from));
            // The sender has no name.
            assert_eq!((from == before, from.is_unnamed()), (answer.is_err(), answer.is_ok()));
            answer
        },
    ]
}

/// Whether a receive with nothing to receive is `errno`; and the next, with something, is the first.
fn check_receive<P: Passing>(
    pair: &(P, P),
    receive: Receive<P>,
    errno: Errno,
    call: impl FnOnce(&mut [u8]) -> Result<usize, RecvError>,
) {
    let ((a, b), mut buf, before) = (pair, [7; 4], open_fds());
    assert_eq!(call(&mut buf), Err(RecvError::Kernel(errno)));
    assert_eq!((buf, open_fds()), ([7; 4], before));
    let parcel = Parcel::sent(a, b"word", 1);
    assert_eq!(receive(b, &mut buf), Ok(1));
    assert_eq!(&buf, b"word");
    parcel.assert_gone();
}

fn receive_that_is_interrupted_takes_nothing<P: Passing>() {
    let pair = P::pair();
    for receive in receives::<P>() {
        check_receive(&pair, receive, Errno::INTR, |buf| interrupt(|| receive(&pair.1, buf)));
    }
}

fn receive_that_would_wait_takes_nothing<P: Passing>() {
    let pair = P::pair();
    for receive in receives::<P>() {
        pair.1.set_nonblocking(true);
        check_receive(&pair, receive, Errno::AGAIN, |buf| receive(&pair.1, buf));
        pair.1.set_nonblocking(false);
        check_receive(&pair, receive, Errno::AGAIN, |buf| {
            let (mut control, options) = (Control::new(), RecvOptions::new().nonblocking());
            let answer = pair.1.take(buf, &mut control, options);
            answer.map(|(_, ancillary)| ancillary.fds().count())
        });
    }
}

/// A send of data with descriptors.
type Sends<P> = fn(&P, &[u8], &[BorrowedFd<'_>]) -> Result<Sent, SendError>;

fn send_with<P: Passing>(
    a: &P,
    data: &[u8],
    fds: &[BorrowedFd<'_>],
    options: SendOptions<'_>,
) -> Result<Sent, SendError> {
    let mut control = Control::new();
    let mut writer = control.writer();
    writer.push_fds(fds).unwrap();
    a.send_with(&[IoSlice::new(data)], &writer, options)
}

/// Each call that sends descriptors.
fn sends<P: Passing>() -> [Sends<P>; 2] {
    [
        |a, data, fds| a.send_fds(data, fds),
        |a, data, fds| send_with(a, data, fds, SendOptions::new()),
    ]
}

/// Sends until there is no room for a single byte, and says how many bytes that took.
fn fill(socket: &impl Passing) -> usize {
    socket.set_nonblocking(true);
    let mut sent = 0;
    for piece in [&[1; 4096][..], &[1]] {
        loop {
            match socket.put(piece) {
                Ok(count) => sent += count,
                Err(error) => break assert_eq!(error, Errno::AGAIN),
            }
        }
    }
    socket.set_nonblocking(false);
    sent
}

/// Receives until there is nothing; how many bytes and how many descriptors there were.
fn drain(socket: &impl Passing) -> (usize, usize) {
    socket.set_nonblocking(true);
    let (mut bytes, mut descriptors, mut buf) = (0, 0, [0; 4096]);
    loop {
        match socket.recv_fds::<2>(&mut buf) {
            Ok((received, fds)) => {
                bytes += received.bytes;
                descriptors += fds.len() + fds.surplus();
            }
            Err(error) => break assert_eq!(error, RecvError::Kernel(Errno::AGAIN)),
        }
    }
    socket.set_nonblocking(false);
    (bytes, descriptors)
}

/// Whether a send to a full queue is `errno`, and not a descriptor is on the way; and the next, when
/// there is room, sends it once.
fn check_send<P: Passing>(
    (a, b): &(P, P),
    send: Sends<P>,
    errno: Errno,
    call: impl FnOnce(&[BorrowedFd<'_>]) -> Result<Sent, SendError>,
) {
    let (before, full, mut parcel) = (open_fds(), fill(a), Parcel::new());
    assert_eq!(call(&parcel.times(1)), Err(SendError::Kernel(errno)));
    assert_eq!(parcel.held(), 1);
    let mut refused = std::mem::replace(&mut parcel, Parcel::new());
    refused.release();
    refused.assert_gone();
    assert_eq!(drain(b), (full, 0));
    assert_eq!(send(a, b"word", &parcel.times(1)).map(|sent| sent.bytes), Ok(4));
    parcel.release();
    assert!(!parcel.is_gone());
    assert_eq!(drain(b), (4, 1));
    parcel.assert_gone();
    drop((parcel, refused));
    assert_eq!(open_fds(), before);
}

fn send_that_is_interrupted_sends_nothing<P: Passing>() {
    let pair = P::pair();
    for send in sends::<P>() {
        check_send(&pair, send, Errno::INTR, |fds| interrupt(|| send(&pair.0, b"more", fds)));
    }
}

fn send_that_would_wait_sends_nothing<P: Passing>() {
    let pair = P::pair();
    for send in sends::<P>() {
        check_send(&pair, send, Errno::AGAIN, |fds| {
            pair.0.set_nonblocking(true);
            let answer = send(&pair.0, b"more", fds);
            pair.0.set_nonblocking(false);
            answer
        });
        check_send(&pair, send, Errno::AGAIN, |fds| {
            send_with(&pair.0, b"more", fds, SendOptions::new().nonblocking())
        });
    }
}

/// See "Descriptors go with the first byte" in `kernel.md`.
fn send_that_stops_half_way_has_sent_the_descriptors_once<P: Passing>() {
    if !P::IS_STREAM {
        // A message goes whole or not at all.
        let (a, _b) = P::pair();
        let mut parcel = Parcel::new();
        let answer = a.send_fds(&vec![1; 4 << 20], &parcel.times(2));
        assert!(matches!(answer, Err(SendError::Kernel(_))), "{answer:?}");
        parcel.release();
        return parcel.assert_gone();
    }
    let bytes = vec![1; 4 << 20];
    for send in sends::<P>() {
        let (a, b) = P::pair();
        let mut parcel = Parcel::new();
        let sent = interrupt(|| send(&a, &bytes, &parcel.times(2))).unwrap();
        assert!(0 < sent.bytes && sent.bytes < bytes.len(), "{sent:?}");
        parcel.release();
        assert_eq!(drain(&b), (sent.bytes, 2));
        parcel.assert_gone();
        a.set_nonblocking(true);
        let rest = a.put(sent.rest(&bytes)).unwrap();
        assert_eq!(drain(&b), (rest, 0));
    }
}
