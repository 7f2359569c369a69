//! What `identity` does, by hand on libc.

use std::hint::black_box;
use std::mem::{size_of, zeroed};

pub fn accept_peer(count: u64) {
    // SAFETY: the calls are given memory of the size that they are told; zeros are a `sockaddr_un` and
    // a `ucred`.
    unsafe {
        let flags = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let listener = libc::socket(libc::AF_UNIX, flags, 0);
        let mut name: libc::sockaddr_un = zeroed();
        name.sun_family = libc::AF_UNIX as u16;
        // Autobind.
        assert_eq!(libc::bind(listener, (&raw const name).cast(), 2), 0);
        assert_eq!(libc::listen(listener, -1), 0);
        let mut name_len = size_of::<libc::sockaddr_un>() as u32;
        assert_eq!(libc::getsockname(listener, (&raw mut name).cast(), &raw mut name_len), 0);
        let mut from: libc::sockaddr_un = zeroed();
        for _ in 0..count {
            let client = libc::socket(libc::AF_UNIX, flags, 0);
            let to: *const libc::sockaddr_un = black_box(&raw const name);
            if client < 0 || libc::connect(client, to.cast(), name_len) < 0 {
                panic!("cannot connect");
            }
            let mut len = size_of::<libc::sockaddr_un>() as u32;
            let from = (&raw mut from).cast();
            let connection = libc::accept4(listener, from, &raw mut len, libc::SOCK_CLOEXEC);
            if connection < 0 {
                panic!("cannot accept");
            }
            let mut peer: libc::ucred = zeroed();
            let mut len = size_of::<libc::ucred>() as u32;
            let (level, option) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
            let value = (&raw mut peer).cast();
            if libc::getsockopt(connection, level, option, value, &raw mut len) < 0
                || len as usize != size_of::<libc::ucred>()
            {
                panic!("nobody");
            }
            black_box((peer.pid, peer.uid, peer.gid));
            libc::close(connection);
            libc::close(client);
        }
        libc::close(listener);
    }
}
