//! How much is queued, and how much may be.

use afunix::{BorrowedFd, Errno, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::emulated::{OPTION, left_out_by_qemu};
use crate::common::{Watchdog, skip};
use crate::traits::{Queue, get_option, set_option};

for_data!(
    send_buffer_is_twice_what_was_asked_for
    receive_buffer_limits_nothing
    unread_memory_is_given_back_when_all_was_read
    nothing_readable_is_0
    bytes_of_a_listener_are_einval
);

/// See "The send buffer is twice what was asked for" in `kernel.md`.
fn send_buffer_is_twice_what_was_asked_for<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let read = |name: &str| -> Option<usize> {
        let text = std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let (Some(default), Some(max)) = (read("wmem_default"), read("wmem_max")) else {
        // In network namespaces of older kernels.
        return skip("the kernel does not tell its limits");
    };
    assert_eq!(a.send_buffer_size(), Ok(default));
    for (asked, is) in [
        (0, 4608),
        (1, 4608),
        (2304, 4608),
        (2305, 4610),
        (16_384, 32_768),
        (max, 2 * max),
        (max + 1, 2 * max),
        (usize::MAX, 2 * max),
    ] {
        assert_eq!(a.set_send_buffer_size(asked), Ok(()));
        assert_eq!(a.send_buffer_size(), Ok(is), "{asked} was asked for");
        assert_eq!(get_option(&a, libc::SO_SNDBUF), Ok(i32::try_from(is).unwrap()));
    }
    assert_eq!(b.send_buffer_size(), Ok(default));
    // It is the sender's that counts.
    a.set_send_buffer_size(0).unwrap();
    a.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while let Ok(count) = a.put(&[0; 512]) {
        sent += count;
    }
    assert!(0 < sent && sent < 8192, "{sent} bytes were sent");
}

/// See "The send buffer is twice what was asked for" in `kernel.md`.
fn receive_buffer_limits_nothing<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    set_option(&b, libc::SO_RCVBUF, 1_i32).unwrap();
    assert_eq!(get_option(&b, libc::SO_RCVBUF), Ok(2304));
    assert_eq!(a.put(&[0; 100_000]), Ok(100_000));
}

/// See "What is unread is counted in memory" in `kernel.md`.
fn unread_memory_is_given_back_when_all_was_read<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    assert_eq!((a.unread_memory(), b.unread_memory()), (Ok(0), Ok(0)));
    a.put(b"hello").unwrap();
    let one = a.unread_memory().unwrap();
    assert!(one > 5, "{one}");
    a.put(b"you").unwrap();
    let two = a.unread_memory().unwrap();
    assert_eq!(two, 2 * one);
    assert_eq!(b.unread_memory(), Ok(0));
    let is_stream = T::TYPE == libc::SOCK_STREAM;
    assert_eq!(b.get(&mut [0; 2]), Ok(2));
    // Of a message the rest is gone; of a stream the piece is there until it was read to the end.
    assert_eq!(a.unread_memory(), Ok(if is_stream { two } else { one }));
    assert_eq!(b.get(&mut [0; 3]), Ok(3));
    assert_eq!(a.unread_memory(), Ok(if is_stream { one } else { 0 }));
}

/// See "What can be read is counted in three ways" in `kernel.md`.
#[test]
fn what_can_be_read_is_counted_by_each_type_in_its_way() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    a.write(b"hello").unwrap();
    a.write(b"world!").unwrap();
    assert_eq!((b.bytes_readable(), a.bytes_readable()), (Ok(11), Ok(0)));
    b.read(&mut [0; 3]).unwrap();
    assert_eq!(b.bytes_readable(), Ok(8));
    drop(a);
    assert_eq!(b.bytes_readable(), Ok(8));
    b.read(&mut [0; 8]).unwrap();
    assert_eq!(b.bytes_readable(), Ok(0));

    let (a, b) = UnixSeqpacket::pair().unwrap();
    for message in [&b"hello"[..], b"", b"world!"] {
        a.send(message).unwrap();
    }
    assert_eq!((b.bytes_readable(), a.bytes_readable()), (Ok(11), Ok(0)));
    // What is cut is gone.
    let _ = b.recv(&mut [0; 1]).unwrap();
    assert_eq!(b.bytes_readable(), Ok(6));

    let (a, b) = UnixDatagram::pair().unwrap();
    for message in [&b"hello"[..], b"", b"world!"] {
        a.send(message).unwrap();
    }
    for size in [5, 0, 6, 0] {
        assert_eq!((b.next_message_size(), a.next_message_size()), (Ok(size), Ok(0)));
        b.set_nonblocking(true).unwrap();
        let _ = b.recv(&mut [0; 1]);
    }
}

fn nothing_readable_is_0<T: Queue>(_: &str) {
    let socket = T::unbound().unwrap();
    assert_eq!((socket.readable(), socket.unread_memory()), (Ok(0), Ok(0)));
}

/// See "What can be read is counted in three ways" in `kernel.md`.
fn bytes_of_a_listener_are_einval<T: Queue>(_: &str) {
    let server = T::serve(&crate::common::name("server")).unwrap();
    let socket = T::from_fd_unchecked(server);
    let listens = T::TYPE != libc::SOCK_DGRAM;
    assert_eq!(socket.readable(), if listens { Err(Errno::INVAL) } else { Ok(0) });
    assert_eq!(socket.unread_memory(), Ok(0));
}

macro_rules! check_sizes {
    ($($Type:ident)+) => {
        $({
            let (a, b) = $Type::pair().unwrap();
            for buffer in [0, 5000, 106_496] {
                a.set_send_buffer_size(buffer).unwrap();
                let max = a.max_message_size().unwrap();
                assert_eq!(max, a.send_buffer_size().unwrap() - 32);
                assert_eq!(a.send(&vec![1; max + 1]), Err(Errno::MSGSIZE));
                assert_eq!(a.send(&vec![1; max]), Ok(max));
                assert_eq!(b.recv(&mut []).unwrap().size, max);
            }
            // More than the limit of this machine takes a right that not everybody has.
            if set_option(&a, libc::SO_SNDBUFFORCE, 5_000_000_i32).is_ok() {
                assert_eq!(a.max_message_size(), Ok(4_263_616));
                // SAFETY: a number alone.
                if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } == 4096 {
                    assert_eq!(a.send(&vec![1; 4_263_617]), Err(Errno::NOBUFS));
                }
            }
        })+
    };
}

#[test]
fn largest_message_is_just_that() {
    let _watchdog = Watchdog::new();
    check_sizes!(UnixDatagram UnixSeqpacket);
}

/// A socket that was taken unchecked, and is none or of another kind.
#[test]
fn what_is_no_such_socket_is_refused() {
    use std::os::fd::AsRawFd as _;
    let file = std::fs::File::open("/dev/null").unwrap();
    // SAFETY: it is open as long as its owner, above.
    let lent = unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) };
    let fd = rustix::io::fcntl_dupfd_cloexec(lent, 0).unwrap();
    let socket = UnixDatagram::from_fd_unchecked(fd);
    assert_eq!(socket.next_message_size(), Err(Errno::NOTTY));
    assert_eq!(socket.unread_memory(), Err(Errno::NOTTY));
    assert_eq!(socket.send_buffer_size(), Err(Errno::NOTSOCK));
    assert_eq!(socket.max_message_size(), Err(Errno::NOTSOCK));
    assert_eq!(socket.set_send_buffer_size(1), Err(Errno::NOTSOCK));
    assert_eq!(socket.read_timeout(), Err(Errno::NOTSOCK));
    assert_eq!(socket.set_write_timeout(None), Err(Errno::NOTSOCK));
    assert_eq!(socket.peek_offset(), Err(Errno::NOTSOCK));
    let answer = socket.set_peek_offset(None);
    if answer == Err(Errno::NOTSOCK) || !left_out_by_qemu(OPTION) {
        assert_eq!(answer, Err(Errno::NOTSOCK));
    }
    assert_eq!(socket.passrights(), Err(Errno::NOTSOCK));
    assert_eq!(socket.set_passsec(true), Err(Errno::NOTSOCK));
    assert_eq!(socket.disconnect(), Err(Errno::NOTSOCK));
    assert_eq!(socket.autobind_to(), Err(Errno::NOTSOCK));
    assert_eq!(socket.peek(&mut []), Err(Errno::NOTSOCK));
    assert!(socket.try_clone().is_ok());
}
