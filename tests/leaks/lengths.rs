//! Control buffers of each length, and data buffers of each length: what comes, what is closed and what
//! is told is what the room allows, byte by byte.

use afunix::{
    AncillaryBuf, BorrowedFd, Fds, IoSliceMut, Received, RecvError, RecvOptions, Truncation,
};

use crate::check::{Parcel, open_count};
use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::ways::{Got, Passing};

leak_tests!(
    each_length_of_the_control_buffer_gives_what_fits_and_closes_the_rest
    each_length_of_the_control_buffer_beside_credentials_and_a_pidfd
    each_number_of_descriptors_asked_for_and_sent
    each_length_of_the_data_buffer_keeps_the_descriptors
);

type Receive = fn(BorrowedFd<'_>, RecvOptions<'_>, &mut [u8], &mut dyn FnMut(Got<'_>));

/// One receive with a control buffer of `N` bytes.
fn receive<const N: usize>(
    fd: BorrowedFd<'_>,
    options: RecvOptions<'_>,
    buf: &mut [u8],
    then: &mut dyn FnMut(Got<'_>),
) {
    let mut control = AncillaryBuf::<N>::new();
    then(afunix::recv_with(fd, &mut [IoSliceMut::new(buf)], &mut control, options));
}

/// A function for each of ten numbers that begin with the same digits.
macro_rules! ten {
    ($function:ident, $tens:expr $(, $type:ty)?) => {
        [
            $function::<{ $tens * 10 } $(, $type)?>,
            $function::<{ $tens * 10 + 1 } $(, $type)?>,
            $function::<{ $tens * 10 + 2 } $(, $type)?>,
            $function::<{ $tens * 10 + 3 } $(, $type)?>,
            $function::<{ $tens * 10 + 4 } $(, $type)?>,
            $function::<{ $tens * 10 + 5 } $(, $type)?>,
            $function::<{ $tens * 10 + 6 } $(, $type)?>,
            $function::<{ $tens * 10 + 7 } $(, $type)?>,
            $function::<{ $tens * 10 + 8 } $(, $type)?>,
            $function::<{ $tens * 10 + 9 } $(, $type)?>,
        ]
    };
}

macro_rules! tens {
    ($function:ident: $($tens:expr)+) => { [$(ten!($function, $tens)),+] };
}

/// From 0 to 309 bytes.
static RECEIVES: [[Receive; 10]; 31] = tens!(receive:
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30);

const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;

/// What comes of one message.
#[derive(Debug, Eq, PartialEq)]
struct Expected {
    fds: usize,
    credentials: bool,
    pidfd: bool,
    truncated: bool,
}

/// Works out what fits into `room` bytes: see "Credentials come first, then descriptors, then the pidfd",
/// "Room is counted in descriptors, not in messages" and "Credentials may come cut" in `kernel.md`.
fn expected(mut room: usize, sent: usize, attested: bool) -> Expected {
    let space = |payload: usize| (HEADER + payload).next_multiple_of(WORD);
    let credentials = attested && room >= HEADER + 12;
    let mut truncated = attested && !credentials;
    if attested && room >= HEADER {
        room -= room.min(space(12));
    }
    let fds = sent.min(room.saturating_sub(HEADER) / 4);
    truncated |= fds < sent;
    if fds > 0 {
        room -= room.min(space(4 * fds));
    }
    let pidfd = attested && room >= HEADER + 4;
    Expected { fds, credentials, pidfd, truncated: truncated || attested && !pidfd }
}

/// Sends `sent` descriptors to a buffer of each length.
fn check_lengths<P: Passing>((a, b): &(P, P), sent: usize, attested: bool) {
    let (before, all) = (open_count(), !left_out_by_qemu(CUT));
    for (room, receive) in RECEIVES.iter().flatten().enumerate() {
        for lossy in [false, true] {
            if expected(room, sent, attested).truncated && !all {
                continue;
            }
            let (parcel, mut buf) = (Parcel::sent(a, b"word", sent), [0; 8]);
            let expected = expected(room, sent, attested);
            let options = if lossy { RecvOptions::new().lossy() } else { RecvOptions::new() };
            let mut calls = 0;
            receive(b.as_fd(), options, &mut buf, &mut |got| {
                calls += 1;
                // Those that came, the pidfd if there is one, and the parcel's witness.
                let open = open_count() - before - 1;
                if lossy || !expected.truncated {
                    assert_eq!(open, expected.fds + usize::from(expected.pidfd), "{room}");
                    check_got(got, &expected);
                } else {
                    assert_eq!(open, 0, "{room}");
                    check_error(got.map(drop), expected.fds);
                }
            });
            assert_eq!((calls, &buf), (1, b"word\0\0\0\0"));
            parcel.assert_gone();
        }
    }
    assert_eq!(open_count(), before);
}

#[track_caller]
fn check_got(got: Got<'_>, expected: &Expected) {
    let (received, mut ancillary) = got.unwrap();
    assert_eq!((received.bytes, received.size), (4, 4));
    let found = Expected {
        fds: ancillary.fds().count(),
        credentials: ancillary.credentials().is_some(),
        pidfd: ancillary.take_pidfd().unwrap().is_some(),
        truncated: ancillary.truncation().is_some(),
    };
    assert_eq!(&found, expected);
    // There was no lack of numbers.
    assert_ne!(ancillary.truncation(), Some(Truncation::NotInstalled));
    assert_eq!(ancillary.take_fds().count(), expected.fds);
}

#[track_caller]
fn check_error<T>(answer: Result<T, RecvError>, expected: usize) {
    let Err(RecvError::ControlTruncated { bytes, size, closed, cause, .. }) = answer else {
        panic!("{:?}", answer.map(drop));
    };
    assert_eq!((bytes, size, closed), (4, 4, expected));
    assert_ne!(cause, Truncation::NotInstalled);
}

fn each_length_of_the_control_buffer_gives_what_fits_and_closes_the_rest<P: Passing>() {
    let pair = P::pair();
    for sent in [0, 1, 2, 5, 71] {
        check_lengths(&pair, sent, false);
    }
}

fn each_length_of_the_control_buffer_beside_credentials_and_a_pidfd<P: Passing>() {
    let Some(pair) = P::attesting_pair() else { return };
    for sent in [0, 1, 2, 5] {
        check_lengths(&pair, sent, true);
    }
}

/// `recv_fds` for as many as `N`: how many there were, and how many too many.
type ReceiveFds<P> = fn(&P, &mut [u8]) -> Result<(usize, usize), RecvError>;

fn receive_fds<const N: usize, P: Passing>(
    socket: &P,
    buf: &mut [u8],
) -> Result<(usize, usize), RecvError> {
    let (_, fds): (Received, Fds<N>) = socket.recv_fds(buf)?;
    Ok((fds.len(), fds.surplus()))
}

/// `recv_fds_exact` for as many as `N`.
fn receive_exact<const N: usize, P: Passing>(
    socket: &P,
    buf: &mut [u8],
) -> Result<(usize, usize), RecvError> {
    let (_, fds) = socket.recv_fds_exact::<N>(buf)?;
    Ok((fds.len(), 0))
}

fn each_number_of_descriptors_asked_for_and_sent<P: Passing>() {
    let (a, b) = P::pair();
    let beyond = if left_out_by_qemu(CUT) { 1 } else { 3 };
    let calls: [[ReceiveFds<P>; 10]; 2] = [ten!(receive_fds, 0, P), ten!(receive_fds, 1, P)];
    let exact: [[ReceiveFds<P>; 10]; 2] = [ten!(receive_exact, 0, P), ten!(receive_exact, 1, P)];
    let both = calls.into_iter().flatten().zip(exact.into_iter().flatten());
    for (wanted, (call, exact)) in both.enumerate() {
        // The room for credentials and a pidfd is that of 14 descriptors.
        for sent in 0..wanted + 14 + beyond {
            let (parcel, mut buf) = (Parcel::sent(&a, b"word", sent), [0; 8]);
            let answer = call(&b, &mut buf);
            if sent <= wanted + 14 {
                assert_eq!(answer, Ok((sent.min(wanted), sent.saturating_sub(wanted))));
            } else {
                check_error(answer, wanted + 14);
            }
            parcel.assert_gone();
            let parcel = Parcel::sent(&a, b"word", sent);
            match exact(&b, &mut buf) {
                Ok(counts) => assert_eq!((counts, sent), ((wanted, 0), wanted)),
                Err(RecvError::WrongCount { bytes, size, wanted: asked, found, .. }) => {
                    assert_eq!((bytes, size, asked, found), (4, 4, wanted, sent));
                    assert!(found != wanted && found <= wanted + 14);
                }
                answer => {
                    assert!(sent > wanted + 14);
                    check_error(answer, wanted + 14);
                }
            }
            assert_eq!(&buf, b"word\0\0\0\0");
            parcel.assert_gone();
        }
    }
}

/// See "Descriptors come with the first byte of theirs", "A receive of nothing takes descriptors" and "The
/// true size of a message" in `kernel.md`.
fn each_length_of_the_data_buffer_keeps_the_descriptors<P: Passing>() {
    let ((a, b), all) = (P::pair(), !left_out_by_qemu(CUT));
    for len in 0..=10 {
        let parcel = Parcel::sent(&a, b"eightong", 2);
        let mut buf = [0; 10];
        let (received, fds) = b.recv_fds::<2>(&mut buf[..len]).unwrap();
        let bytes = len.min(8);
        assert_eq!((received.bytes, fds.len(), parcel.held()), (bytes, 2, 2));
        assert_eq!(received.is_truncated(), !P::IS_STREAM && len < 8);
        assert_eq!(buf[..bytes], b"eightong"[..bytes]);
        drop(fds);
        parcel.assert_gone();
        // What is left of a stream's bytes comes without.
        if P::IS_STREAM && len < 8 {
            let (received, fds) = b.recv_fds::<2>(&mut buf).unwrap();
            assert_eq!((received.bytes, fds.len()), (8 - len, 0));
        }
        if !all {
            continue;
        }
        // Data and descriptors may both be too many, and each is told.
        let parcel = Parcel::sent(&a, b"eightong", 250);
        let error = b.recv_fds::<2>(&mut buf[..len]).unwrap_err();
        let RecvError::ControlTruncated { bytes: kept, size, closed, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!((kept, size, closed), (bytes, if P::IS_STREAM { bytes } else { 8 }, 16));
        parcel.assert_gone();
        if P::IS_STREAM && len < 8 {
            assert_eq!(b.get(&mut buf), Ok(8 - len));
        }
    }
}
