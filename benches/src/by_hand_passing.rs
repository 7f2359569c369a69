//! Control messages there and back by hand on libc, as C programs do it.

use std::hint::black_box;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::ptr::copy_nonoverlapping;

const INT: u32 = size_of::<libc::c_int>() as u32;

/// Of the right size and alignment for `N` words.
#[repr(align(8))]
struct Control<const N: usize>([u64; N]);

fn pair() -> [libc::c_int; 2] {
    let mut fds = [0; 2];
    // SAFETY: two descriptors are written.
    let made = unsafe {
        libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr())
    };
    assert_eq!(made, 0);
    fds
}

fn set(fd: libc::c_int, option: libc::c_int) {
    let on: libc::c_int = 1;
    // SAFETY: the option is an `int`.
    let set =
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const on).cast(), INT) };
    assert_eq!(set, 0);
}

/// Sends a byte with these descriptors.
#[inline(always)]
unsafe fn send_fds<const N: usize, const WORDS: usize>(to: libc::c_int, fds: &[libc::c_int; N]) {
    let mut byte = *black_box(b"x");
    let mut control = Control::<WORDS>([0; WORDS]);
    // SAFETY: `WORDS` is room enough for `N` descriptors, and all pointers are to live variables.
    unsafe {
        let mut iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(N as u32 * INT) as usize;
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = libc::SOL_SOCKET;
        (*message).cmsg_type = libc::SCM_RIGHTS;
        (*message).cmsg_len = libc::CMSG_LEN(N as u32 * INT) as usize;
        copy_nonoverlapping(fds.as_ptr(), libc::CMSG_DATA(message).cast(), N);
        if libc::sendmsg(to, &raw const header, libc::MSG_NOSIGNAL) != 1 {
            panic!("sendmsg failed");
        }
    }
}

/// Receives a byte, and shows each control message to `each`.
#[inline(always)]
unsafe fn receive<const WORDS: usize>(
    from: libc::c_int,
    mut each: impl FnMut(libc::c_int, *const u8, usize),
) {
    let mut byte = [0u8; 1];
    let mut control = MaybeUninit::<Control<WORDS>>::uninit();
    // SAFETY: all pointers are to live variables; the walk stays where the kernel wrote.
    unsafe {
        let room = black_box(&mut byte);
        let mut iov = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: 1 };
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control<WORDS>>();
        if libc::recvmsg(from, &raw mut header, libc::MSG_CMSG_CLOEXEC) != 1
            || header.msg_flags & libc::MSG_CTRUNC != 0
        {
            panic!("recvmsg failed");
        }
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_SOCKET {
                let len = (*message).cmsg_len - libc::CMSG_LEN(0) as usize;
                each((*message).cmsg_type, libc::CMSG_DATA(message), len);
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
}

#[inline(always)]
unsafe fn close_all(data: *const u8, len: usize) {
    for index in 0..len / INT as usize {
        // SAFETY: the payload is descriptors that this program has just received.
        unsafe { libc::close(data.cast::<libc::c_int>().add(index).read()) };
    }
}

fn fds<const N: usize, const WORDS: usize>(count: u64) {
    let [a, b] = pair();
    let sent = [b; N];
    for _ in 0..count {
        // SAFETY: what is received is closed once.
        unsafe {
            send_fds::<N, WORDS>(a, black_box(&sent));
            receive::<WORDS>(b, |kind, data, len| {
                if kind == libc::SCM_RIGHTS {
                    close_all(data, len);
                }
            });
        }
    }
    close_pair(a, b);
}

pub fn one_fd(count: u64) {
    fds::<1, 3>(count);
}

pub fn sixteen(count: u64) {
    fds::<16, 10>(count);
}

pub fn credentials(count: u64) {
    let [a, b] = pair();
    set(b, libc::SO_PASSCRED);
    for _ in 0..count {
        // SAFETY: one byte is sent, and credentials are read from where they are.
        unsafe {
            if libc::send(a, black_box(b"x").as_ptr().cast(), 1, libc::MSG_NOSIGNAL) != 1 {
                panic!("send failed");
            }
            receive::<4>(b, |kind, data, _| {
                if kind == libc::SCM_CREDENTIALS {
                    black_box(data.cast::<libc::ucred>().read());
                }
            });
        }
    }
    close_pair(a, b);
}

pub fn all_three(count: u64) {
    const SO_PASSPIDFD: libc::c_int = 76;
    const SCM_PIDFD: libc::c_int = 4;
    let [a, b] = pair();
    set(b, libc::SO_PASSCRED);
    set(b, SO_PASSPIDFD);
    for _ in 0..count {
        // SAFETY: what is received is closed once, and credentials are read from where they are.
        unsafe {
            send_fds::<1, 3>(a, black_box(&[b]));
            receive::<10>(b, |kind, data, len| match kind {
                libc::SCM_CREDENTIALS => _ = black_box(data.cast::<libc::ucred>().read()),
                libc::SCM_RIGHTS | SCM_PIDFD => close_all(data, len),
                _ => {}
            });
        }
    }
    close_pair(a, b);
}

fn close_pair(a: libc::c_int, b: libc::c_int) {
    // SAFETY: they are this program's own.
    unsafe {
        libc::close(a);
        libc::close(b);
    }
}
