//! How many descriptors go, with what, and how long the control messages are said to be.

use afunix::{
    AncillaryBuf, AsFd, AsRawFd, Errno, FromRawFd, IoSlice, OwnedFd, SendError, SendOptions, Sent,
    Shutdown, UnixStream,
};

use crate::common::emulated::{BAD_LENGTH, NO_PIECES, left_out_by_qemu};
use crate::common::{Watchdog, identity, passes_in_child, skip};
use crate::methods::{NOTHING, Passes, get, lend, now};
use crate::plain::{self, HEADER, RIGHTS, WORD, files, inodes, rights};

for_data!(
    most_descriptors_that_a_message_carries_are_253
    one_more_than_253_are_refused_before_the_call
    no_descriptors_are_a_plain_send
    descriptor_that_is_not_open_stops_the_whole_message
    control_length_is_what_was_written
);
for_messages!(descriptors_go_without_data);

fn bytes(bytes: usize) -> impl Fn(Sent) -> bool {
    move |sent| sent.bytes == bytes
}

/// See "At most 253 descriptors a message" in `kernel.md`.
fn most_descriptors_that_a_message_carries_are_253<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let files = files(2);
    let own: Vec<_> = files.iter().map(identity).collect();
    let many: Vec<_> = files.iter().cycle().take(253).map(AsFd::as_fd).collect();
    let numbers = inodes(&many);

    assert!(a.send_fds(b"x", &many).is_ok_and(bytes(1)));
    let (received, fds) = b.recv_fds_exact::<253>(&mut [0; 4]).unwrap();
    assert_eq!((received.bytes, inodes(&fds)), (1, numbers.clone()));
    drop(fds);

    // In several parts they arrive as one.
    let mut buf = AncillaryBuf::<1200>::new();
    let mut writer = buf.writer();
    writer.push_fds(&many[..200]).unwrap();
    writer.push_fds(&many[200..]).unwrap();
    assert!(a.send_with(&[IoSlice::new(b"x")], &writer, SendOptions::new()).is_ok_and(bytes(1)));
    let reply = plain::recv(&b, &mut [0; 4], 1200, 0).unwrap();
    assert_eq!((reply.kinds(), inodes(&reply.fds)), (vec![RIGHTS], numbers));
    // The sender's own are as they were.
    assert_eq!(files.iter().map(identity).collect::<Vec<_>>(), own);
}

/// See "At most 253 descriptors a message" in `kernel.md`.
fn one_more_than_253_are_refused_before_the_call<T: Passes>(test: &str) {
    // A process of its own, so that no other's child has a copy of what is closed.
    passes_in_child(test, check_one_more_than_253::<T>);
}

fn check_one_more_than_253<T: Passes>() {
    let (a, b) = T::pair().unwrap();
    let number = a.as_raw_fd();
    let kernel = plain::send(&a, b"x", &rights(&vec![number; 254]), 0);
    assert_eq!(kernel, Err(Errno::INVAL));
    // In parts too.
    let parts = [rights(&vec![number; 200]), rights(&vec![number; 54])];
    assert_eq!(plain::send(&a, b"x", &plain::messages(&parts), 0), Err(Errno::INVAL));

    let many = vec![a.as_fd(); 300];
    // Where the kernel is asked, it has something else to say of this socket.
    drop(b);
    let gone = a.send_fds(b"x", &many[..1]).unwrap_err();
    assert!([Errno::PIPE, Errno::CONNREFUSED].contains(&gone.errno()), "{gone}");
    for fds in [254, 255, 300] {
        let expected = Err(SendError::TooManyFds { fds });
        assert_eq!(a.send_fds(b"x", &many[..fds]), expected);
        assert_eq!(afunix::send_fds(&a, b"x", &many[..fds]), expected);
    }
    let mut buf = AncillaryBuf::<1300>::new();
    let mut writer = buf.writer();
    writer.push_fds(&many[..200]).unwrap();
    writer.push_fds(&many[..54]).unwrap();
    let expected = Err(SendError::TooManyFds { fds: 254 });
    let data = &[IoSlice::new(b"x")];
    assert_eq!(a.send_with(data, &writer, SendOptions::new()), expected);
    assert_eq!(afunix::send_with(&a, data, &writer, SendOptions::new()), expected);
}

fn no_descriptors_are_a_plain_send<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    // A header of none is taken by the kernel, and nothing of it arrives.
    assert_eq!(plain::send(&a, b"ab", &rights(&[]), 0), Ok(2));
    let reply = plain::recv(&b, &mut [0; 4], 200, 0).unwrap();
    assert_eq!((reply.bytes, reply.messages.len(), reply.is_truncated()), (2, 0, false));

    assert!(a.send_fds(b"ab", &[]).is_ok_and(bytes(2)));
    let mut buf = AncillaryBuf::<0>::new();
    let mut writer = buf.writer();
    writer.push_fds(&[]).unwrap();
    let data = &[IoSlice::new(b"cd")];
    assert!(a.send_with(data, &writer, SendOptions::new()).is_ok_and(bytes(2)));
    let (_, []) = b.recv_fds_exact::<0>(&mut [0; 2]).unwrap();
    assert_eq!((get(&b, 2).data, get_nothing(&b)), (b"cd".to_vec(), ()));
}

#[track_caller]
fn get_nothing<T: Passes>(socket: &T) {
    assert_eq!(now(socket).unwrap_err(), NOTHING);
}

fn descriptor_that_is_not_open_stops_the_whole_message<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let open = a.as_raw_fd();
    // No process may have that many.
    for wrong in [-1, i32::MAX, libc::AT_FDCWD] {
        for numbers in [vec![wrong], vec![open, wrong], vec![wrong, open]] {
            assert_eq!(plain::send(&a, b"x", &rights(&numbers), 0), Err(Errno::BADF));
        }
    }
    get_nothing(&b);
}

#[test]
fn io_uring_may_not_be_sent() {
    let _watchdog = Watchdog::new();
    // Zeros are the parameters of a plain one, in a structure of 120 bytes.
    let mut parameters = [0_u64; 15];
    // SAFETY: the kernel reads and writes that structure.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
    let Ok(ring @ 0..) = i32::try_from(ring) else {
        if left_out_by_qemu("qemu-user makes no io_uring") {
            return;
        }
        return skip(format_args!("no io_uring: {}", plain::last_errno()));
    };
    // SAFETY: it is new.
    let ring = unsafe { OwnedFd::from_raw_fd(ring) };
    let (a, b) = UnixStream::pair().unwrap();
    let refused = Err(SendError::Kernel(Errno::INVAL));
    assert_eq!(a.send_fds(b"x", &[b.as_fd(), ring.as_fd()]), refused);
    get_nothing(&b);
}

/// See "A stream carries descriptors on a byte" in `kernel.md`.
#[test]
fn stream_refuses_descriptors_without_data() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    // The kernel is content, and they are gone.
    assert_eq!(plain::send(&a, b"", &rights(&[a.as_raw_fd()]), 0), Ok(0));
    get_nothing(&b);

    let fds = [a.as_fd(), b.as_fd()];
    let refuse = |socket: &UnixStream| {
        let mut buf = AncillaryBuf::<64>::new();
        let mut writer = buf.writer();
        writer.push_fds(&fds).unwrap();
        let (none, empty): (&[IoSlice<'_>], _) = (&[], &[IoSlice::new(b""), IoSlice::new(b"")]);
        let expected = Err(SendError::NoData { fds: 2 });
        assert_eq!(socket.send_fds(b"", &fds), expected);
        assert_eq!(afunix::send_fds(socket, b"", &fds), expected);
        for data in [none, empty] {
            assert_eq!(socket.send_with(data, &writer, SendOptions::new()), expected);
            assert_eq!(afunix::send_with(socket, data, &writer, SendOptions::new()), expected);
        }
    };
    refuse(&a);
    // Without descriptors there is nothing to lose.
    assert!(a.send_fds(b"", &[]).is_ok_and(bytes(0)));
    assert!(afunix::send_fds(&a, b"", &[]).is_ok_and(bytes(0)));
    get_nothing(&b);
    // A call would have said `EPIPE`.
    a.shutdown(Shutdown::Write).unwrap();
    refuse(&a);
    assert_eq!(a.send_fds(b"x", &fds), Err(SendError::Kernel(Errno::PIPE)));
}

/// See "A stream carries descriptors on a byte" in `kernel.md`.
fn descriptors_go_without_data<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let files = files(2);
    let (lent, numbers) = (lend(&files), inodes(&files));
    assert!(a.send_fds(b"", &lent).is_ok_and(bytes(0)));
    assert!(afunix::send_fds(&a, b"", &lent).is_ok_and(bytes(0)));
    let mut buf = AncillaryBuf::<64>::new();
    let mut writer = buf.writer();
    writer.push_fds(&lent).unwrap();
    // It may be sent again and again.
    let times = if left_out_by_qemu(NO_PIECES) { 0 } else { 2 };
    for _ in 0..times {
        assert!(afunix::send_with(&a, &[], &writer, SendOptions::new()).is_ok_and(bytes(0)));
    }
    for _ in 0..2 + times {
        let (received, fds) = b.recv_fds_exact::<2>(&mut [0; 4]).unwrap();
        assert_eq!((received.bytes, received.size, inodes(&fds)), (0, 0, numbers.clone()));
    }
    get_nothing(&b);
}

/// See "Descriptors go with the first byte" in `kernel.md`.
#[test]
fn short_write_has_sent_all_descriptors_and_its_rest_goes_without() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let files = files(2);
    let data: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sent = a.send_fds(&data, &lend(&files)).unwrap();
    assert!(sent.bytes > 0 && sent.bytes < data.len());
    let mut rest = sent.rest(&data);
    assert_eq!(rest, &data[sent.bytes..]);
    // While nothing is taken at all, no descriptor is.
    let refused = Err(SendError::Kernel(Errno::AGAIN));
    assert_eq!(a.send_fds(rest, &lend(&files)), refused);

    let (mut all, mut came, mut buf) = (Vec::new(), Vec::new(), vec![0; 100_000]);
    while all.len() < data.len() {
        let (received, fds) = b.recv_fds::<4>(&mut buf).unwrap();
        all.extend_from_slice(&buf[..received.bytes]);
        came.push(inodes(&fds.into_iter().collect::<Vec<_>>()));
        match a.send_fds(rest, &[]) {
            Ok(sent) => rest = sent.rest(rest),
            error => assert_eq!(error, refused),
        }
    }
    assert!(all == data, "other bytes came");
    // Once, and first.
    assert_eq!(came[0], inodes(&files));
    assert!(came[1..].iter().all(Vec::is_empty));
    get_nothing(&b);
}

fn kernel_has_64_bits() -> bool {
    // SAFETY: zeros are a value of it, and it is ours to write.
    let machine = unsafe {
        let mut names: libc::utsname = std::mem::zeroed();
        assert_eq!(libc::uname(&mut names), 0);
        names.machine
    };
    machine.windows(2).any(|two| two == [b'6' as _, b'4' as _])
}

/// See "The control length is exact" in `kernel.md`.
fn control_length_is_what_was_written<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let files = files(3);
    let one = rights(&[files[0].as_raw_fd()]);
    let padded = one.len().next_multiple_of(WORD);
    let mut longer = one.clone();
    // Where the kernel translates the headers of smaller processes, it has its own bounds.
    let ignored = if WORD == 4 && kernel_has_64_bits() { 1 } else { HEADER };
    for len in one.len()..padded + ignored {
        longer.resize(len, 0);
        assert_eq!(plain::send(&a, b"x", &longer, 0), Ok(1), "{len}");
        let (_, [_fd]) = b.recv_fds_exact::<1>(&mut [0; 4]).unwrap();
    }
    for len in padded + ignored..padded + 2 * HEADER {
        if left_out_by_qemu(BAD_LENGTH) {
            break;
        }
        longer.resize(len, 0);
        assert_eq!(plain::send(&a, b"x", &longer, 0), Err(Errno::INVAL), "{len}");
    }
    // A buffer of any size beyond makes no difference to ours.
    let mut buf = AncillaryBuf::<1000>::new();
    let mut writer = buf.writer();
    writer.push_fds(&lend(&files[..1])).unwrap();
    writer.push_fds(&lend(&files[1..])).unwrap();
    assert!(a.send_with(&[IoSlice::new(b"x")], &writer, SendOptions::new()).is_ok_and(bytes(1)));
    let (_, fds) = b.recv_fds_exact::<3>(&mut [0; 4]).unwrap();
    assert_eq!(inodes(&fds), inodes(&files));
    get_nothing(&b);
}
