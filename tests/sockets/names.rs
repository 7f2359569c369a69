//! Names that a socket has, from the kernel or from us, and where they come from.

use std::os::unix::fs::FileTypeExt;

use afunix::{AsRawFd, Errno, UnixAddr};

use crate::common::kinds::{Data, Socket};
use crate::common::{TempDir, addr, name, snapshot};

for_all!(
    autobind_gives_five_lower_case_hex_digits_which_are_the_local_addr
    bind_to_a_path_makes_a_socket_file_that_stays_when_the_socket_closes
    local_addr_is_what_bind_was_given_whatever_became_of_the_file
    local_addr_into_replaces_a_longer_address_and_a_shorter_one
);
for_data!(
    fresh_socket_has_no_name_and_no_peer
    pair_has_two_ends_without_names
    connect_with_passcred_binds_a_socket_without_a_name_even_if_it_fails
    connect_without_passcred_leaves_a_socket_without_a_name
    peer_addr_without_a_peer_is_enotconn_and_leaves_the_variable
);

/// See "Autobind" in `kernel.md`.
fn autobind_gives_five_lower_case_hex_digits_which_are_the_local_addr<T: Socket>(_: &str) {
    let (first, first_name) = T::autobind().unwrap();
    let (second, second_name) = T::autobind().unwrap();
    assert_ne!(first_name, second_name);
    for (socket, name) in [(first, first_name), (second, second_name)] {
        let digits = name.as_abstract_name().unwrap();
        assert_eq!(digits.len(), 5, "{name}");
        assert!(digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{name}");
        assert_eq!(socket.local_addr(), Ok(name));
        assert_eq!(T::bind(&name).map(drop), Err(Errno::ADDRINUSE));
    }
}

fn fresh_socket_has_no_name_and_no_peer<T: Data>(_: &str) {
    let socket = T::unbound().unwrap();
    assert_eq!(socket.local_addr(), Ok(UnixAddr::UNNAMED));
    assert_eq!(socket.peer_addr(), Err(Errno::NOTCONN));
    assert_eq!(socket.put(b"x"), Err(Errno::NOTCONN));
    assert_eq!(socket.take_error(), Ok(None));
}

fn pair_has_two_ends_without_names<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for (one, other) in [(&a, &b), (&b, &a)] {
        assert_eq!(one.local_addr(), Ok(UnixAddr::UNNAMED));
        assert_eq!(one.peer_addr(), Ok(UnixAddr::UNNAMED));
        let mut buf = [0; 8];
        assert_eq!(one.put(b"word"), Ok(4));
        assert_eq!(other.get(&mut buf), Ok(4));
        assert_eq!(&buf[..4], b"word");
    }
}

fn bind_to_a_path_makes_a_socket_file_that_stays_when_the_socket_closes<T: Socket>(_: &str) {
    let folder = TempDir::new();
    let socket = T::bind(&folder.addr("name")).unwrap();
    let file = folder.join("name").symlink_metadata().unwrap();
    assert!(file.file_type().is_socket());
    let before = snapshot(folder.path());
    drop(socket);
    assert_eq!(snapshot(folder.path()), before);
    assert_eq!(T::bind(&folder.addr("name")).map(drop), Err(Errno::ADDRINUSE));
    std::fs::remove_file(folder.join("name")).unwrap();
    assert!(T::bind(&folder.addr("name")).is_ok());
}

fn local_addr_is_what_bind_was_given_whatever_became_of_the_file<T: Socket>(_: &str) {
    let folder = TempDir::new();
    // Not the shortest way to say it.
    let given = addr(folder.join("././/name"));
    let socket = T::bind(&given).unwrap();
    assert_eq!(socket.local_addr(), Ok(given));
    std::fs::rename(folder.join("name"), folder.join("renamed")).unwrap();
    assert_eq!(socket.local_addr(), Ok(given));
    std::fs::remove_file(folder.join("renamed")).unwrap();
    assert_eq!(socket.local_addr(), Ok(given));
}

fn local_addr_into_replaces_a_longer_address_and_a_shorter_one<T: Socket>(_: &str) {
    let folder = TempDir::new();
    let mut variable = UnixAddr::from_pathname(&[b'v'; 108]).unwrap();
    let names = [
        folder.addr("a"),
        addr(folder.path_of_len(108)),
        name("short"),
        addr(folder.path_of_len(107)),
        name(&"long".repeat(15)),
    ];
    for name in names {
        let socket = T::bind(&name).unwrap();
        socket.local_addr_into(&mut variable).unwrap();
        assert_eq!((variable, variable.addr_len()), (name, name.addr_len()));
        assert_eq!(variable.as_pathname_cstr(), name.as_pathname_cstr());
        let (auto, name) = T::autobind().unwrap();
        auto.local_addr_into(&mut variable).unwrap();
        assert_eq!(variable, name);
        if !T::LISTENS {
            T::fresh().local_addr_into(&mut variable).unwrap();
            assert_eq!(variable, UnixAddr::UNNAMED);
        }
    }
}

fn set_passcred(socket: &impl AsRawFd) {
    let on: i32 = 1;
    // SAFETY: the option's value is a C `int`, whose size is passed.
    let done = unsafe {
        let fd = socket.as_raw_fd();
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_PASSCRED, (&raw const on).cast(), 4)
    };
    assert_eq!(done, 0);
}

fn connect_with_passcred_binds_a_socket_without_a_name_even_if_it_fails<T: Data>(_: &str) {
    let folder = TempDir::new();
    let socket = T::unbound().unwrap();
    set_passcred(&socket);
    assert!(socket.local_addr().unwrap().is_unnamed());
    assert_eq!(socket.connect_to(&folder.addr("missing")), Err(Errno::NOENT));
    let picked = socket.local_addr().unwrap();
    assert_eq!(picked.as_abstract_name().map(<[u8]>::len), Some(5));
    assert_eq!(socket.bind_to(&name("late")), Err(Errno::INVAL));
    assert_eq!(socket.local_addr(), Ok(picked));
}

fn connect_without_passcred_leaves_a_socket_without_a_name<T: Data>(_: &str) {
    let server = name("server");
    let _server = T::serve(&server).unwrap();
    let socket = T::unbound().unwrap();
    assert_eq!(socket.connect_to(&server), Ok(()));
    assert_eq!(socket.local_addr(), Ok(UnixAddr::UNNAMED));
    assert_eq!(socket.peer_addr(), Ok(server));
}

fn peer_addr_without_a_peer_is_enotconn_and_leaves_the_variable<T: Data>(_: &str) {
    let (socket, _) = T::autobind().unwrap();
    for before in [name("before"), addr("/before"), UnixAddr::UNNAMED] {
        let mut variable = before;
        assert_eq!(socket.peer_addr_into(&mut variable), Err(Errno::NOTCONN));
        assert_eq!(variable, before);
    }
}
