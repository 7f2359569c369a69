//! The raw layer against the kernel, and the storage of addresses by itself.

mod batch;
mod control;
mod fds;
mod options;

use core::ptr;
use std::format;
use std::fs;
use std::string::String;
use std::vec::Vec;

use linux_raw_sys::{general, net};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, IoSlice};

use super::addr::UnixAddr;
use super::fd::{adopt, borrow, dup, openat};
use super::msg::{self, BatchHeader, Header};
use super::socket::{Kind, accept, getpeername, getsockname, socket};
use super::{clock, data, sockopt};
use crate::error::DecodeError;
use crate::wire::tests::numbers;

/// Sockets that are connected to each other.
fn pair(kind: rustix::net::SocketType) -> (OwnedFd, OwnedFd) {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    rustix::net::socketpair(rustix::net::AddressFamily::UNIX, kind, flags, None).unwrap()
}

/// What the kernel would write for an address of these bytes.
fn reply(sun_path: &[u8]) -> UnixAddr {
    let mut addr = UnixAddr::from_pathname(&[0xee; 108]).unwrap();
    let (buffer, capacity) = addr.buffer();
    assert_eq!(capacity, 110);
    // SAFETY: within the `capacity` bytes that `buffer` may be written for.
    let to = unsafe { buffer.cast::<u8>().add(2) };
    // SAFETY: the tests give at most 108 bytes, which with the 2 are the capacity.
    unsafe { ptr::copy_nonoverlapping(sun_path.as_ptr(), to, sun_path.len()) }
    addr
}

#[test]
fn settle_makes_of_each_reply_what_from_raw_makes_of_its_bytes() {
    for len in numbers(109) {
        for nul in numbers(len).chain([len]) {
            // A path or name of `len` bytes, NUL at one place or none.
            let mut sun_path: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
            if nul < len {
                sun_path[nul] = 0;
            }
            let raw = [&1u16.to_ne_bytes()[..], &sun_path].concat();
            for addr_len in [raw.len(), raw.len() + 1] {
                let mut settled = reply(&sun_path);
                let result = settled.settle(u32::try_from(addr_len).unwrap());
                if addr_len > 110 {
                    let full = nul == 108;
                    let wrong = Err(DecodeError::Length { addr_len });
                    assert_eq!(result, if full { Ok(()) } else { wrong });
                    assert_eq!(settled.as_pathname(), full.then_some(&sun_path[..]));
                    continue;
                }
                // One byte beyond is what the old address had there.
                let raw = [&raw[..], &[0xee]].concat();
                assert_eq!(result, Ok(()));
                assert_eq!(Ok(settled), UnixAddr::from_raw(&raw, addr_len), "{len} {nul}");
                if let Some(path) = settled.as_pathname() {
                    assert_eq!(settled.as_pathname_cstr().unwrap().to_bytes(), path);
                }
            }
        }
    }
}

#[test]
fn settle_of_no_length_is_unnamed_whatever_was_there() {
    let mut addr = reply(b"/left/over");
    assert_eq!(addr.settle(0), Ok(()));
    assert_eq!(addr, UnixAddr::UNNAMED);
    assert_eq!(addr.as_pathname(), None);
}

#[test]
fn settle_of_a_bad_reply_leaves_an_unnamed_address() {
    for addr_len in [1, 112, 128, u32::MAX] {
        let mut addr = reply(b"/left/over");
        let wrong = DecodeError::Length { addr_len: addr_len as usize };
        assert_eq!(addr.settle(addr_len), Err(wrong));
        assert_eq!(addr, UnixAddr::UNNAMED);
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn adopt_refuses_what_is_no_descriptor() {
    for number in [usize::MAX, 1 << 31] {
        // SAFETY: the number is no descriptor, and so is not taken.
        assert_eq!(unsafe { adopt(number) }.err(), Some(Errno::BADF));
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn an_error_is_the_kernels_own_number() {
    let dir = openat(rustix::fs::CWD, c"/tmp", general::O_DIRECTORY | general::O_PATH).unwrap();
    assert_eq!(openat(borrow(&dir), c"no/such", 0).err(), Some(Errno::NOENT));
    assert_eq!(sockopt::kind(borrow(&dir)), Err(Errno::BADF), "O_PATH lends itself to no call");
    let null = openat(borrow(&dir), c"../dev/null", general::O_RDWR).unwrap();
    assert_eq!(sockopt::kind(borrow(&null)), Err(Errno::NOTSOCK));
    assert_eq!(data::send(borrow(&null), b"x"), Err(Errno::NOTSOCK));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn openat_and_dup_give_new_descriptors_that_close_on_exec() {
    let null = openat(rustix::fs::CWD, c"/dev/null", general::O_RDWR).unwrap();
    let copy = dup(borrow(&null), 100).unwrap();
    assert!(copy.as_raw_fd() >= 100);
    assert_closes_on_exec(&null);
    assert_closes_on_exec(&copy);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn monotonic_never_goes_back_and_agrees_with_proc_uptime() {
    let first = clock::monotonic().unwrap();
    let second = clock::monotonic().unwrap();
    assert!(second >= first);
    assert!((0..1_000_000_000).contains(&second.nanoseconds));
    let uptime: f64 = {
        let text: String = fs::read_to_string("/proc/uptime").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    // The clock stands still while the machine sleeps; uptime does not.
    assert!((second.seconds as f64) < uptime + 2.0, "{second:?} {uptime}");
    assert!(second.seconds > 0);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn options_are_read_and_set() {
    let fd = socket(Kind::Seqpacket).unwrap().0;
    let fd = borrow(&fd);
    assert_eq!(sockopt::domain(fd), Ok(1));
    assert_eq!(sockopt::kind(fd), Ok(Kind::Seqpacket.number()));
    assert_eq!(sockopt::listens(fd), Ok(false));
    assert_eq!(sockopt::take_error(fd), Ok(None));
    assert_eq!(sockopt::get_int(fd, net::SO_PASSCRED), Ok(0));
    sockopt::set_int(fd, net::SO_PASSCRED, 1).unwrap();
    assert_eq!(sockopt::get_int(fd, net::SO_PASSCRED), Ok(1));
    assert_eq!(sockopt::set_int(fd, 9999, 1), Err(Errno::NOPROTOOPT));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn an_option_longer_than_int_writes_no_more_than_int() {
    // 12 bytes, of which the kernel copies the 4 that were asked for; 8, which it will not cut.
    let fd = socket(Kind::Stream).unwrap().0;
    assert_eq!(sockopt::get_int(borrow(&fd), net::SO_PEERCRED), Ok(0));
    assert_eq!(sockopt::get_int(borrow(&fd), net::SO_COOKIE), Err(Errno::INVAL));
    assert_eq!(sockopt::get_int(borrow(&fd), net::SO_PEERGROUPS), Err(Errno::NODATA));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn an_option_shorter_than_int_is_eproto() {
    let fd = socket(Kind::Stream).unwrap().0;
    // Of a socket that is bound to no device the answer is 0 bytes.
    assert_eq!(sockopt::get_int(borrow(&fd), net::SO_BINDTODEVICE), Err(Errno::PROTO));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn received_descriptors_close_on_exec() {
    /// A control message of one descriptor, as the kernel lays it out.
    #[repr(C)]
    struct Rights {
        header: net::cmsghdr,
        fd: i32,
    }
    let (a, b) = pair(rustix::net::SocketType::DGRAM);
    let mut byte = 0u8;
    let mut piece = general::iovec { iov_base: ptr::from_mut(&mut byte).cast(), iov_len: 1 };
    let mut rights = Rights {
        header: net::cmsghdr {
            cmsg_len: size_of::<net::cmsghdr>() + size_of::<i32>(),
            cmsg_level: net::SOL_SOCKET.cast_signed(),
            cmsg_type: net::SCM_RIGHTS.cast_signed(),
        },
        fd: a.as_raw_fd(),
    };
    let rights = ptr::from_mut(&mut rights);
    let control = rights.cast();
    let mut header = || {
        let mut header = Header::new(&raw mut piece, 1);
        header.control = control;
        header.control_len = size_of::<net::cmsghdr>() + size_of::<i32>();
        header
    };
    for batch in [false, true] {
        // SAFETY: one piece of one byte and one control message, alive to the end of the test.
        assert_eq!(unsafe { msg::sendmsg(borrow(&a), &header(), net::MSG_NOSIGNAL) }, Ok(1));
        let mut one = [BatchHeader { header: header(), len: 0 }];
        let received = if batch {
            // SAFETY: as above; the descriptor that arrives is owned below.
            unsafe { msg::recvmmsg(borrow(&b), &mut one, net::MSG_DONTWAIT) }
        } else {
            // SAFETY: as above.
            unsafe { msg::recvmsg(borrow(&b), &mut one[0].header, net::MSG_DONTWAIT) }
        };
        assert_eq!(received, Ok(1));
        // SAFETY: alive to the end of the test.
        let number = usize::try_from(unsafe { (*rights).fd }).unwrap();
        // SAFETY: the kernel has just installed it, and nobody else knows of it.
        let fd = unsafe { adopt(number) }.unwrap();
        assert_ne!(fd.as_raw_fd(), a.as_raw_fd());
        assert_closes_on_exec(&fd);
        // SAFETY: alive to the end of the test.
        unsafe { (*rights).fd = a.as_raw_fd() };
    }
}

#[track_caller]
fn assert_closes_on_exec(fd: &OwnedFd) {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
    assert_eq!(flags & general::O_CLOEXEC, general::O_CLOEXEC, "{info}");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn names_and_peers_are_filled_in_place() {
    let server = socket(Kind::Stream).unwrap().0;
    rustix::net::bind(borrow(&server), &UnixAddr::UNNAMED).unwrap();
    rustix::net::listen(borrow(&server), 1).unwrap();
    let mut name = UnixAddr::UNNAMED;
    getsockname(borrow(&server), &mut name).unwrap();
    assert_eq!(name.as_abstract_name().map(<[u8]>::len), Some(5));

    let client = socket(Kind::Stream).unwrap().0;
    let mut peer = name;
    assert_eq!(getpeername(borrow(&client), &mut peer), Err(Errno::NOTCONN));
    assert_eq!(peer, name, "an error leaves it as it was");
    rustix::net::connect(borrow(&client), &name).unwrap();
    getpeername(borrow(&client), &mut peer).unwrap();
    assert_eq!(peer, name);
    let _connection = accept(borrow(&server), &mut peer).unwrap();
    assert!(peer.is_unnamed());
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn an_address_of_another_family_is_an_error_and_leaves_unnamed() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = dup(borrow_raw(&udp), 0).unwrap();
    let mut name = UnixAddr::from_pathname(b"/before").unwrap();
    assert_eq!(getsockname(borrow(&udp), &mut name), Err(Errno::AFNOSUPPORT));
    assert_eq!(name, UnixAddr::UNNAMED);
}

/// A descriptor of std's, whose type is not ours unless rustix has its `std` feature.
fn borrow_raw(fd: &impl std::os::fd::AsRawFd) -> rustix::fd::BorrowedFd<'_> {
    // SAFETY: open, and not -1, as long as its owner is borrowed.
    unsafe { rustix::fd::BorrowedFd::borrow_raw(fd.as_raw_fd()) }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn data_goes_there_and_back() {
    let (a, b) = pair(rustix::net::SocketType::SEQPACKET);
    assert_eq!(data::send(borrow(&a), b"message"), Ok(7));
    let mut buf = [0; 4];
    assert_eq!(data::recv(borrow(&b), &mut buf), Ok(7), "the true size");
    assert_eq!(&buf, b"mess");

    let (a, b) = pair(rustix::net::SocketType::STREAM);
    assert_eq!(msg::send_vectored(borrow(&a), &[IoSlice::new(b"by"), IoSlice::new(b"tes")]), Ok(5));
    let mut buf = [0; 8];
    assert_eq!(data::read(borrow(&b), &mut buf), Ok(5));
    assert_eq!(&buf[..5], b"bytes");

    let server = socket(Kind::Datagram).unwrap().0;
    rustix::net::bind(borrow(&server), &UnixAddr::UNNAMED).unwrap();
    let mut name = UnixAddr::UNNAMED;
    getsockname(borrow(&server), &mut name).unwrap();
    assert_eq!(data::sendto(borrow(&server), b"self", &name), Ok(4));
    let mut from = UnixAddr::UNNAMED;
    assert_eq!(data::recvfrom(borrow(&server), &mut buf, &mut from), Ok(4));
    assert_eq!(from, name);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn headers_carry_data_one_by_one_and_in_batches() {
    let (a, b) = pair(rustix::net::SocketType::DGRAM);
    let mut texts = [*b"one", *b"two", *b"six"];
    let mut pieces = texts
        .each_mut()
        .map(|text| general::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: 3 });
    let mut headers = pieces
        .each_mut()
        .map(|piece| BatchHeader { header: Header::new(ptr::from_mut(piece), 1), len: 0 });
    // SAFETY: each header has one piece of 3 bytes, alive to the end of the test.
    let sent = unsafe { msg::sendmmsg(borrow(&a), &mut headers, net::MSG_NOSIGNAL) };
    assert_eq!(sent, Ok(3));
    for (header, text) in headers.iter_mut().zip([b"one", b"two", b"six"]) {
        assert_eq!(header.len, 3);
        // SAFETY: as above; the piece can be written too.
        let count = unsafe { msg::recvmsg(borrow(&b), &mut header.header, net::MSG_DONTWAIT) };
        assert_eq!(count, Ok(3));
        // SAFETY: as above.
        let count = unsafe { msg::sendmsg(borrow(&a), &header.header, net::MSG_NOSIGNAL) };
        assert_eq!(count, Ok(3), "{text:?}");
    }
    // SAFETY: as above.
    let received = unsafe { msg::recvmmsg(borrow(&b), &mut headers, net::MSG_DONTWAIT) };
    assert_eq!(received, Ok(3));
    // SAFETY: as above.
    let none = unsafe { msg::recvmmsg(borrow(&b), &mut headers, net::MSG_DONTWAIT) };
    assert_eq!(none, Err(Errno::AGAIN));
    assert_eq!(texts, [*b"one", *b"two", *b"six"]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn take_error_gives_a_pending_error_once() {
    let (a, b) = pair(rustix::net::SocketType::STREAM);
    data::send(borrow(&a), b"unread").unwrap();
    data::send(borrow(&b), b"unread").unwrap();
    drop(b);
    assert_eq!(sockopt::take_error(borrow(&a)), Ok(Some(Errno::CONNRESET)));
    assert_eq!(sockopt::take_error(borrow(&a)), Ok(None));
}
