//! The same operations by hand on libc, as C programs do them: without any check.

use std::hint::black_box;
use std::mem::{MaybeUninit, offset_of, size_of, zeroed};
use std::ptr::copy_nonoverlapping;

use crate::{NAME, PATH};

const FAMILY: usize = offset_of!(libc::sockaddr_un, sun_path);

pub fn pathname(count: u64) {
    for _ in 0..count {
        let path: &[u8] = black_box(PATH);
        // SAFETY: all zero is a `sockaddr_un`, and the path is shorter than `sun_path`.
        unsafe {
            let mut addr: libc::sockaddr_un = zeroed();
            addr.sun_family = libc::AF_UNIX as _;
            copy_nonoverlapping(path.as_ptr(), addr.sun_path.as_mut_ptr().cast(), path.len());
            black_box((&addr, FAMILY + path.len() + 1));
        }
    }
}

pub fn abstract_name(count: u64) {
    for _ in 0..count {
        let name: &[u8] = black_box(NAME);
        // SAFETY: all zero is a `sockaddr_un`, and the name is shorter than `sun_path`.
        unsafe {
            let mut addr: libc::sockaddr_un = zeroed();
            addr.sun_family = libc::AF_UNIX as _;
            copy_nonoverlapping(
                name.as_ptr(),
                addr.sun_path.as_mut_ptr().add(1).cast(),
                name.len(),
            );
            black_box((&addr, FAMILY + 1 + name.len()));
        }
    }
}

pub fn reply(count: u64) {
    let path = fresh_path();
    // SAFETY: the address is whole, and all calls are given what they write to.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let mut addr: libc::sockaddr_un = zeroed();
        addr.sun_family = libc::AF_UNIX as _;
        copy_nonoverlapping(path.as_ptr(), addr.sun_path.as_mut_ptr().cast(), path.len());
        let len = FAMILY + path.len() + 1;
        assert_eq!(libc::bind(fd, (&raw const addr).cast(), len as _), 0);
        let mut name = MaybeUninit::<libc::sockaddr_un>::uninit();
        for _ in 0..count {
            let mut len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
            if libc::getsockname(fd, name.as_mut_ptr().cast(), &raw mut len) != 0 {
                panic!("getsockname failed");
            }
            let path = (&raw const (*name.as_ptr()).sun_path).cast::<u8>();
            black_box((path, len as usize - FAMILY - 1));
        }
        libc::close(fd);
    }
    remove(&path);
}

pub fn ping_pong(count: u64) {
    let message = [0x55u8; 64];
    let mut buf = [0u8; 64];
    let mut fds = [0; 2];
    // SAFETY: all calls are given buffers of the size that they are told.
    unsafe {
        let flags = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        assert_eq!(libc::socketpair(libc::AF_UNIX, flags, 0, fds.as_mut_ptr()), 0);
        let [a, b] = fds;
        for _ in 0..count {
            let ping = black_box(&message);
            if libc::send(a, ping.as_ptr().cast(), 64, libc::MSG_NOSIGNAL) < 0
                || libc::read(b, black_box(&mut buf).as_mut_ptr().cast(), 64) < 0
                || libc::send(b, black_box(&buf).as_ptr().cast(), 64, libc::MSG_NOSIGNAL) < 0
                || libc::read(a, black_box(&mut buf).as_mut_ptr().cast(), 64) < 0
            {
                panic!("ping-pong failed");
            }
        }
        libc::close(a);
        libc::close(b);
    }
}

/// A path of 40 bytes where nothing is yet.
pub fn fresh_path() -> Vec<u8> {
    let path = format!("/tmp/afunix-benches-{:020}", std::process::id()).into_bytes();
    assert_eq!(path.len(), PATH.len());
    remove(&path);
    path
}

pub fn remove(path: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    // It may not be there.
    let _ = std::fs::remove_file(std::ffi::OsStr::from_bytes(path));
}
