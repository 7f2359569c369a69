//! Connecting with a name of one's own, and what is undone when that fails.

use std::path::Path;
use std::thread;

use afunix::{Errno, UnixAddr, UnixDatagram};

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{TempDir, name, snapshot, start_waiting};

for_data!(
    connect_from_to_has_both_names
    connect_from_to_a_path_that_fails_removes_its_file
    connect_from_to_a_name_that_fails_leaves_it_free
    connect_from_to_a_path_that_exists_is_eaddrinuse_and_keeps_the_file
);
for_connecting!(
    connect_from_to_is_seen_by_the_listener
    connect_from_to_that_fails_after_its_file_was_replaced_keeps_the_other_file
    connect_from_to_that_fails_after_its_file_was_moved_keeps_it
    connect_gives_a_socket_that_is_connected_from_the_start
);

fn connect_from_to_has_both_names<T: Data>(_: &str) {
    let folder = TempDir::new();
    let server = name("server");
    let _server = T::serve(&server).unwrap();
    for own in [folder.addr("own"), name("own")] {
        let client = T::connect_from_to(&own, &server).unwrap();
        assert_eq!((client.local_addr(), client.peer_addr()), (Ok(own), Ok(server)));
        assert_eq!(client.put(b"x"), Ok(1));
    }
    assert!(folder.join("own").exists());
}

fn connect_from_to_is_seen_by_the_listener<T: Connects>(_: &str) {
    let folder = TempDir::new();
    let (listener, server) = T::Listener::autobind().unwrap();
    for own in [folder.addr("own"), name("own")] {
        let _client = T::connect_from_to(&own, &server).unwrap();
        assert_eq!(listener.accept().unwrap().1, own);
    }
}

#[test]
fn connect_from_to_is_seen_by_the_receiver_of_a_datagram() {
    let _watchdog = crate::common::Watchdog::new();
    let folder = TempDir::new();
    let (receiver, server) = UnixDatagram::autobind().unwrap();
    for own in [folder.addr("own"), name("own")] {
        let client = UnixDatagram::connect_from_to(&own, &server).unwrap();
        assert_eq!(client.send(b"x"), Ok(1));
        assert_eq!(receiver.recv_from(&mut [0]).unwrap().1, own);
    }
}

fn connect_from_to_a_path_that_fails_removes_its_file<T: Data>(_: &str) {
    let folder = TempDir::new();
    std::fs::write(folder.join("file"), "").unwrap();
    let before = snapshot(folder.path());
    let targets = [
        (folder.addr("missing"), Errno::NOENT),
        (folder.addr("file"), Errno::CONNREFUSED),
        (name("nobody"), Errno::CONNREFUSED),
        (UnixAddr::UNNAMED, Errno::INVAL),
    ];
    for own in [folder.addr("own"), crate::common::addr(folder.path_of_len(108))] {
        for (target, expected) in targets {
            assert_eq!(T::connect_from_to(&own, &target).map(drop), Err(expected), "{target}");
            assert_eq!(snapshot(folder.path()), before, "{target}");
        }
    }
}

fn connect_from_to_a_name_that_fails_leaves_it_free<T: Data>(_: &str) {
    let own = name("own");
    assert_eq!(T::connect_from_to(&own, &name("nobody")).map(drop), Err(Errno::CONNREFUSED));
    assert!(T::bind(&own).is_ok());
}

fn connect_from_to_a_path_that_exists_is_eaddrinuse_and_keeps_the_file<T: Data>(_: &str) {
    let folder = TempDir::new();
    let server = folder.addr("server");
    let _server = T::serve(&server).unwrap();
    std::fs::write(folder.join("file"), "kept").unwrap();
    drop(T::bind(&folder.addr("stale")).unwrap());
    let before = snapshot(folder.path());
    for own in ["file", "stale", "server"] {
        for target in [server, folder.addr("missing")] {
            let failed = T::connect_from_to(&folder.addr(own), &target);
            assert_eq!(failed.map(drop), Err(Errno::ADDRINUSE), "{own} {target}");
        }
    }
    assert_eq!(snapshot(folder.path()), before);
    assert_eq!(std::fs::read(folder.join("file")).unwrap(), b"kept");
}

/// Makes `connect_from_to` wait at a full backlog, calls `meanwhile`, and has it refused then.
fn refused_after<T: Connects>(own: &UnixAddr, file: &Path, meanwhile: impl FnOnce()) {
    let server = name("server");
    let listener = T::Listener::bind_with_backlog(&server, 0).unwrap();
    let _first = T::connect(&server).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect_from_to(own, &server).map(drop));
        assert!(file.exists());
        meanwhile();
        drop(listener);
        assert_eq!(waiting.join().unwrap(), Err(Errno::CONNREFUSED));
    });
}

fn connect_from_to_that_fails_after_its_file_was_replaced_keeps_the_other_file<T: Connects>(
    _: &str,
) {
    let folder = TempDir::new();
    let (own, file) = (folder.addr("own"), folder.join("own"));
    // The control: undisturbed, it does remove its file.
    refused_after::<T>(&own, &file, || ());
    assert_eq!(snapshot(folder.path()), []);

    refused_after::<T>(&own, &file, || {
        std::fs::write(folder.join("other"), "other").unwrap();
        std::fs::rename(folder.join("other"), &file).unwrap();
    });
    assert_eq!(std::fs::read(&file).unwrap(), b"other");
    std::fs::remove_file(&file).unwrap();

    // A socket's file as well, although it looks the same.
    let mut other = None;
    refused_after::<T>(&own, &file, || {
        std::fs::remove_file(&file).unwrap();
        other = Some(T::bind(&own).unwrap());
    });
    assert_eq!(snapshot(folder.path()).len(), 1);
    assert_eq!(T::bind(&own).map(drop), Err(Errno::ADDRINUSE));
}

fn connect_from_to_that_fails_after_its_file_was_moved_keeps_it<T: Connects>(_: &str) {
    let folder = TempDir::new();
    refused_after::<T>(&folder.addr("own"), &folder.join("own"), || {
        std::fs::rename(folder.join("own"), folder.join("moved")).unwrap();
    });
    let left: Vec<_> = snapshot(folder.path()).into_iter().map(|(path, ..)| path).collect();
    assert_eq!(left, [folder.join("moved")]);
}

fn connect_gives_a_socket_that_is_connected_from_the_start<T: Connects>(_: &str) {
    let folder = TempDir::new();
    for server in [folder.addr("server"), name("server")] {
        let listener = T::Listener::bind(&server).unwrap();
        let client = T::connect(&server).unwrap();
        assert_eq!((client.local_addr(), client.peer_addr()), (Ok(UnixAddr::UNNAMED), Ok(server)));
        let (connection, _) = listener.accept().unwrap();
        assert_eq!(connection.put(b"x"), Ok(1));
        assert_eq!(client.get(&mut [0]), Ok(1));
    }
}
