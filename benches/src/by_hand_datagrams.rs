//! What `datagrams` does, by hand on libc.

use std::hint::black_box;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::ptr::null_mut;

use crate::{BATCH, MESSAGE};

fn pair() -> [i32; 2] {
    let mut fds = [0; 2];
    let flags = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: there is room for two.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, flags, 0, fds.as_mut_ptr()) }, 0);
    fds
}

fn close(fds: [i32; 2]) {
    for fd in fds {
        // SAFETY: nobody uses it any more.
        unsafe { libc::close(fd) };
    }
}

type Buffers = [[u8; MESSAGE]; BATCH];
type Pieces = [libc::iovec; BATCH];
type Headers = [libc::mmsghdr; BATCH];

fn set_up(pieces: &mut Pieces, headers: &mut Headers, bufs: &mut Buffers) {
    for ((piece, header), buf) in pieces.iter_mut().zip(headers).zip(bufs) {
        *piece = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: MESSAGE };
        // SAFETY: zeros are none.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_name = null_mut();
        message.msg_iov = piece;
        message.msg_iovlen = 1;
        *header = libc::mmsghdr { msg_hdr: message, msg_len: 0 };
    }
}

fn batch(count: u64, anew: bool) {
    let [a, b] = pair();
    let (mut messages, mut bufs): (Buffers, Buffers) =
        ([[0x55; MESSAGE]; BATCH], [[0; MESSAGE]; BATCH]);
    // SAFETY: zeros are none, all four.
    let (mut send_pieces, mut send_headers): (Pieces, Headers) = unsafe { (zeroed(), zeroed()) };
    // SAFETY: as above.
    let (mut recv_pieces, mut recv_headers): (Pieces, Headers) = unsafe { (zeroed(), zeroed()) };
    set_up(&mut send_pieces, &mut send_headers, &mut messages);
    set_up(&mut recv_pieces, &mut recv_headers, &mut bufs);
    let n = BATCH as u32;
    for _ in 0..count {
        // SAFETY: the headers, and what they point to, are as long as they say.
        let sent =
            unsafe { libc::sendmmsg(a, send_headers.as_mut_ptr(), n, libc::MSG_NOSIGNAL as _) };
        assert_eq!(sent, BATCH as i32);
        if anew {
            set_up(&mut recv_pieces, &mut recv_headers, black_box(&mut bufs));
        }
        let flags = (libc::MSG_WAITFORONE | libc::MSG_CMSG_CLOEXEC | libc::MSG_TRUNC) as _;
        // SAFETY: as above.
        let received =
            unsafe { libc::recvmmsg(b, recv_headers.as_mut_ptr(), n, flags, null_mut()) };
        assert!(received > 0);
        let mut bytes = 0;
        for header in &recv_headers[..received as usize] {
            bytes += (header.msg_len as usize).min(MESSAGE);
        }
        black_box(bytes);
    }
    close([a, b]);
}

pub fn batch_reused(count: u64) {
    batch(count, false);
}

pub fn batch_given_anew(count: u64) {
    batch(count, true);
}

pub fn sender(count: u64) {
    let path = super::by_hand::fresh_path();
    let message = [0x55u8; MESSAGE];
    let mut buf = [0u8; MESSAGE];
    // SAFETY: the calls are given memory of the size that they are told.
    unsafe {
        let flags = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
        let fds = [(); 2].map(|()| libc::socket(libc::AF_UNIX, flags, 0));
        let [sender, inbox] = fds;
        let mut name: libc::sockaddr_un = zeroed();
        name.sun_family = libc::AF_UNIX as u16;
        // Autobind.
        assert_eq!(libc::bind(inbox, (&raw const name).cast(), 2), 0);
        let mut len = size_of::<libc::sockaddr_un>() as u32;
        assert_eq!(libc::getsockname(inbox, (&raw mut name).cast(), &raw mut len), 0);
        assert_eq!(libc::connect(sender, (&raw const name).cast(), len), 0);
        let mut own: libc::sockaddr_un = zeroed();
        own.sun_family = libc::AF_UNIX as u16;
        std::ptr::copy_nonoverlapping(path.as_ptr(), own.sun_path.as_mut_ptr().cast(), path.len());
        let len = (2 + path.len() + 1) as u32;
        assert_eq!(libc::bind(sender, (&raw const own).cast(), len), 0);
        for _ in 0..count {
            let data = black_box(&message).as_ptr().cast();
            assert!(libc::send(sender, data, MESSAGE, libc::MSG_NOSIGNAL) >= 0);
            let mut from = MaybeUninit::<libc::sockaddr_un>::uninit();
            let mut len = size_of::<libc::sockaddr_un>() as u32;
            let room = black_box(&mut buf).as_mut_ptr().cast();
            let (name, flags) = (from.as_mut_ptr(), libc::MSG_TRUNC);
            let size = libc::recvfrom(inbox, room, MESSAGE, flags, name.cast(), &raw mut len);
            assert!(size >= 0 && len > 2);
            black_box((size as usize).min(MESSAGE));
            // As most do it: up to the first NUL.
            let path = (&raw const (*name).sun_path).cast::<libc::c_char>();
            let path_len = libc::strnlen(path, len as usize - 2);
            black_box((path, path_len));
        }
        close(fds);
    }
    super::by_hand::remove(&path);
}
