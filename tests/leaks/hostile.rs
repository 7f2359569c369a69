//! Peers that send other than was agreed: too many descriptors, in odd shapes, and then nothing more.

use afunix::{
    AncillaryBuf, AsRawFd, Errno, IoSlice, RecvError, RecvOptions, SendError, SendOptions, Space,
    Truncation,
};

use crate::check::Parcel;
use crate::common::emulated::{CUT, NO_PIECES, left_out_by_qemu};
use crate::common::open_fds;
use crate::ways::Passing;

leak_tests!(
    descriptors_of_which_one_fits_are_all_closed_and_the_data_is_kept
    surplus_is_closed_and_counted_up_to_the_room_there_is
    surplus_is_handed_over_to_who_takes_it
    descriptors_in_two_messages_arrive_as_one
    descriptors_in_two_messages_are_253_at_most
    descriptors_without_data_are_refused_on_a_stream_and_delivered_elsewhere
    descriptor_arrives_beside_credentials_and_a_pidfd
    descriptors_outlive_a_sender_that_closes
    full_queue_that_is_dropped_closes_what_it_holds
);

/// Many, and fewer than one message may carry.
const MANY: usize = 250;
/// How many more than asked for `recv_fds` has room for, if nothing else comes.
const SPARE: usize = 14;
/// Room for this many descriptors and not a byte more.
const fn room(fds: usize) -> usize {
    size_of::<usize>() + 8 + 4 * fds
}

/// What became of a message of four bytes that was not delivered whole.
#[track_caller]
fn assert_truncated<T>(answer: Result<T, RecvError>, expected: usize) {
    let Err(RecvError::ControlTruncated { bytes, size, closed, cause, .. }) = answer else {
        panic!("{:?}", answer.map(drop));
    };
    assert_eq!((bytes, size, closed, cause), (4, 4, expected, Truncation::BufferFull));
}

fn descriptors_of_which_one_fits_are_all_closed_and_the_data_is_kept<P: Passing>() {
    let (a, b) = P::pair();
    let after = |call: &dyn Fn(&mut [u8; 8])| {
        let (parcel, mut buf) = (Parcel::sent(&a, b"word", MANY), [0; 8]);
        call(&mut buf);
        assert_eq!(&buf, b"word\0\0\0\0");
        parcel.assert_gone();
    };
    // They arrive whole where there is room, so it is not the peer who lost them.
    after(&|buf| assert_eq!(b.recv_fds::<MANY>(buf).unwrap().1.len(), MANY));
    after(&|buf| {
        let mut control = AncillaryBuf::<0>::new();
        assert_truncated(b.take(buf, &mut control, RecvOptions::new()), 0);
    });
    if left_out_by_qemu(CUT) {
        return;
    }
    after(&|buf| assert_truncated(b.recv_fds::<1>(buf), 1 + SPARE));
    after(&|buf| assert_truncated(b.recv_fds_exact::<1>(buf), 1 + SPARE));
    after(&|buf| {
        let mut control = AncillaryBuf::<{ room(1) }>::new();
        assert_truncated(b.take(buf, &mut control, RecvOptions::new()), 1);
    });

    let parcel = Parcel::sent(&a, b"word", MANY);
    let (mut buf, mut control) = ([0; 8], AncillaryBuf::<{ room(1) }>::new());
    let (received, ancillary) = b.take(&mut buf, &mut control, RecvOptions::new().lossy()).unwrap();
    assert_eq!((received.bytes, ancillary.fds().count(), parcel.held()), (4, 1, 1));
    assert_eq!(ancillary.truncation(), Some(Truncation::BufferFull));
    drop(ancillary);
    assert_eq!(&buf, b"word\0\0\0\0");
    parcel.assert_gone();
}

fn surplus_is_closed_and_counted_up_to_the_room_there_is<P: Passing>() {
    let (a, b) = P::pair();
    let beyond = if left_out_by_qemu(CUT) { 1 } else { 3 };
    for count in 0..=SPARE + beyond {
        let (parcel, mut buf) = (Parcel::sent(&a, b"word", count), [0; 8]);
        let answer = b.recv_fds::<1>(&mut buf);
        if count <= 1 + SPARE {
            let (_, fds) = answer.unwrap();
            assert_eq!((fds.len(), fds.surplus()), (count.min(1), count.saturating_sub(1)));
            assert_eq!(parcel.held(), fds.len());
        } else {
            assert_truncated(answer, 1 + SPARE);
        }
        parcel.assert_gone();

        let (parcel, mut buf) = (Parcel::sent(&a, b"word", count), [0; 8]);
        let answer = b.recv_fds_exact::<1>(&mut buf);
        match count {
            1 => assert_eq!(answer.map(|(_, fds)| (fds.len(), parcel.held())), Ok((1, 1))),
            _ if count <= 1 + SPARE => {
                let error = answer.unwrap_err();
                let RecvError::WrongCount { bytes: 4, size: 4, wanted: 1, found, .. } = error
                else {
                    panic!("{error:?}");
                };
                assert_eq!(found, count);
            }
            _ => assert_truncated(answer, 1 + SPARE),
        }
        assert_eq!(&buf, b"word\0\0\0\0");
        parcel.assert_gone();
    }
}

fn surplus_is_handed_over_to_who_takes_it<P: Passing>() {
    let (a, b) = P::pair();
    let parcel = Parcel::sent(&a, b"word", MANY);
    let mut control = AncillaryBuf::<{ Space::new().rights::<253>().bytes() }>::new();
    let (_, mut ancillary) = b.take(&mut [0; 8], &mut control, RecvOptions::new()).unwrap();
    let one = ancillary.take_fds().next();
    let rest: Vec<_> = ancillary.take_fds().collect();
    assert_eq!((rest.len(), ancillary.fds().count()), (MANY - 1, 0));
    drop(ancillary);
    assert_eq!(parcel.held(), MANY);
    drop(rest);
    assert_eq!(parcel.held(), 1);
    drop(one);
    parcel.assert_gone();
}

/// Sends two `SCM_RIGHTS` headers of so many descriptors each, as no program should; the error is an
/// errno.
fn send_two_headers(socket: &impl Passing, data: &[u8], counts: [usize; 2]) -> Result<usize, i32> {
    let parcel = Parcel::new();
    let (header_len, fd) = (room(0), parcel.times(1)[0].as_raw_fd());
    let mut control = Vec::new();
    for count in counts {
        control.resize(control.len().next_multiple_of(size_of::<usize>()), 0);
        control.extend((header_len + 4 * count).to_ne_bytes());
        control.extend(libc::SOL_SOCKET.to_ne_bytes());
        control.extend(libc::SCM_RIGHTS.to_ne_bytes());
        control.extend([fd; 253][..count].iter().flat_map(|fd| fd.to_ne_bytes()));
    }
    let mut iov = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: zeros are a value of the header; all that it points to is as long as it says.
    let sent = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&mut iov, 1);
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = control.len() as _;
        libc::sendmsg(socket.as_raw_fd(), &header, libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent).map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap())
}

/// See "At most 253 descriptors a message" in `kernel.md`.
fn descriptors_in_two_messages_arrive_as_one<P: Passing>() {
    let (a, b) = P::pair();
    let by_writer = || {
        let (parcel, mut control) = (Parcel::new(), AncillaryBuf::<256>::new());
        let mut writer = control.writer();
        writer.push_fds(&parcel.times(2)).unwrap();
        writer.push_fds(&parcel.times(3)).unwrap();
        let sent = a.send_with(&[IoSlice::new(b"word")], &writer, SendOptions::new()).unwrap();
        assert_eq!(sent.bytes, 4);
    };
    let by_hand = || assert_eq!(send_two_headers(&a, b"word", [2, 3]), Ok(4));
    for send in [&by_writer as &dyn Fn(), &by_hand] {
        let before = open_fds();
        send();
        let (_, fds) = b.recv_fds::<5>(&mut [0; 8]).unwrap();
        assert_eq!((fds.len(), fds.surplus()), (5, 0));
        assert_eq!(open_fds().len(), before.len() + 5);
        drop(fds);
        assert_eq!(open_fds(), before);
        // The second is not left for a receiver who has had the first.
        send();
        assert_eq!(b.recv_fds_exact::<2>(&mut [0; 8]).unwrap_err().errno(), Errno::PROTO);
        assert_eq!(open_fds(), before);
        b.set_nonblocking(true);
        let empty = b.recv_fds::<5>(&mut [0; 8]).map(drop);
        assert_eq!(empty, Err(RecvError::Kernel(Errno::AGAIN)));
        b.set_nonblocking(false);
    }
}

fn descriptors_in_two_messages_are_253_at_most<P: Passing>() {
    let (a, b) = P::pair();
    let mut parcel = Parcel::new();
    let mut control = AncillaryBuf::<1200>::new();
    let mut writer = control.writer();
    writer.push_fds(&parcel.times(127)).unwrap();
    writer.push_fds(&parcel.times(127)).unwrap();
    let sent = a.send_with(&[IoSlice::new(b"word")], &writer, SendOptions::new());
    assert_eq!(sent, Err(SendError::TooManyFds { fds: 254 }));
    assert_eq!(a.send_fds(b"word", &parcel.times(254)), Err(SendError::TooManyFds { fds: 254 }));
    assert_eq!(send_two_headers(&a, b"word", [127, 127]), Err(libc::EINVAL));
    assert_eq!(parcel.held(), 1);
    parcel.release();
    parcel.assert_gone();
    b.set_nonblocking(true);
    assert_eq!(b.get(&mut [0; 8]), Err(Errno::AGAIN));
}

/// See "A stream carries descriptors on a byte" in `kernel.md`.
fn descriptors_without_data_are_refused_on_a_stream_and_delivered_elsewhere<P: Passing>() {
    let (a, b) = P::pair();
    b.set_nonblocking(true);
    let (mut parcel, mut control) = (Parcel::new(), AncillaryBuf::<256>::new());
    let fds = parcel.times(3);
    let mut writer = control.writer();
    writer.push_fds(&fds).unwrap();
    let pieces: &[IoSlice<'_>] =
        if left_out_by_qemu(NO_PIECES) { &[IoSlice::new(b"")] } else { &[] };
    let answers = [a.send_fds(b"", &fds), a.send_with(pieces, &writer, SendOptions::new())];
    assert_eq!(send_two_headers(&a, b"", [1, 2]), Ok(0));
    drop(fds);
    parcel.release();
    if P::IS_STREAM {
        assert_eq!(answers, [Err(SendError::NoData { fds: 3 }); 2]);
        // Of what was sent past the crate, too, nothing is on the way.
        parcel.assert_gone();
        let empty = b.recv_fds::<3>(&mut [0; 8]).map(drop);
        assert_eq!(empty, Err(RecvError::Kernel(Errno::AGAIN)));
        return;
    }
    for (index, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.map(|sent| sent.bytes), Ok(0));
        let (received, fds) = b.recv_fds::<3>(&mut [0; 8]).unwrap();
        assert_eq!((received.bytes, fds.len(), parcel.held()), (0, 3, 3));
        drop(fds);
        assert_eq!((parcel.held(), parcel.is_gone()), (0, index == 1));
    }
    assert_eq!(b.recv_fds::<3>(&mut [0; 8]).unwrap().1.len(), 3);
}

/// See "Credentials come first, then descriptors, then the pidfd" in `kernel.md`.
fn descriptor_arrives_beside_credentials_and_a_pidfd<P: Passing>() {
    let Some((a, b)) = P::attesting_pair() else { return };
    let parcels = [1, 1, MANY].map(|count| Parcel::sent(&a, b"word", count));
    let before = open_fds();
    let (received, fds) = b.recv_fds::<1>(&mut [0; 8]).unwrap();
    assert_eq!((received.bytes, fds.len(), fds.surplus(), parcels[0].held()), (4, 1, 0, 1));
    // The pidfd, that nobody asked for, is closed.
    assert_eq!(open_fds().len(), before.len() + 1);
    drop(fds);
    parcels[0].assert_gone();

    let (_, [fd]) = b.recv_fds_exact::<1>(&mut [0; 8]).unwrap();
    assert_eq!((parcels[1].held(), open_fds().len()), (1, before.len() + 1));
    drop(fd);
    parcels[1].assert_gone();

    // Too many, and the pidfd that stood behind them had no room either.
    let error = b.recv_fds::<1>(&mut [0; 8]).unwrap_err();
    let RecvError::ControlTruncated { bytes: 4, size: 4, closed, .. } = error else {
        panic!("{error:?}");
    };
    assert!((1..=1 + SPARE).contains(&closed), "{closed}");
    parcels[2].assert_gone();

    // Of a message without descriptors the pidfd alone is closed.
    a.put(b"word").unwrap();
    assert_eq!(b.recv_fds::<1>(&mut [0; 8]).unwrap().1.len(), 0);
    assert_eq!(open_fds(), before);
}

fn descriptors_outlive_a_sender_that_closes<P: Passing>() {
    let (a, b) = P::pair();
    let parcels = [Parcel::sent(&a, b"word", 2), Parcel::sent(&a, b"more", 1)];
    drop(a);
    assert!(parcels.iter().all(|parcel| !parcel.is_gone()));
    let mut buf = [0; 4];
    let (received, fds) = b.recv_fds::<2>(&mut buf).unwrap();
    assert_eq!((received.bytes, &buf, fds.len()), (4, b"word", 2));
    let (_, [one]) = b.recv_fds_exact::<1>(&mut buf).unwrap();
    assert_eq!((&buf, parcels[0].held(), parcels[1].held()), (b"more", 2, 1));
    b.set_nonblocking(true);
    for _ in 0..2 {
        match b.recv_fds::<2>(&mut buf) {
            Ok((received, none)) => assert_eq!((received.bytes, none.len()), (0, 0)),
            Err(error) => assert_eq!(error, RecvError::Kernel(Errno::AGAIN)),
        }
    }
    drop((fds, one));
    parcels.iter().for_each(Parcel::assert_gone);
}

/// See "Descriptors in a queue that is dropped are closed" in `kernel.md`.
fn full_queue_that_is_dropped_closes_what_it_holds<P: Passing>() {
    let (a, b) = P::pair();
    a.set_nonblocking(true);
    let mut parcels = vec![];
    loop {
        let mut parcel = Parcel::new();
        let answer = a.send_fds(&[7; 1000], &parcel.times(3));
        parcel.release();
        match answer {
            // A stream that takes a part takes the descriptors with it.
            Ok(_) => parcels.push(parcel),
            Err(error) => {
                assert_eq!(error, SendError::Kernel(Errno::AGAIN));
                parcel.assert_gone();
                break;
            }
        }
    }
    assert!(parcels.len() > 5, "{}", parcels.len());
    assert!(parcels.iter().all(|parcel| parcel.held() == 0 && !parcel.is_gone()));
    drop(b);
    parcels.iter().for_each(Parcel::assert_gone);
}
