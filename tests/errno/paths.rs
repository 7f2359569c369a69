//! Paths of every kind, for a process that may do anything.

use std::os::unix::fs::symlink;

use afunix::{OwnedFd, UnixAddr};

use crate::common::kinds::{Connects, Data};
use crate::common::{TempDir, addr, is_root, passes_in_child, snapshot};
use crate::table::*;

/// A folder with one file of each kind, and the sockets that must stay open for it.
struct Stage {
    folder: TempDir,
    /// Has room for whatever a test connects to or sends.
    good: UnixAddr,
    _open: [OwnedFd; 3],
}

impl Stage {
    fn new<T: Data>() -> Self {
        let folder = TempDir::new();
        std::fs::write(folder.join("file"), "").unwrap();
        std::fs::create_dir(folder.join("directory")).unwrap();
        let fifo = std::ffi::CString::new(folder.join("fifo").to_str().unwrap()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o666) }, 0);
        symlink("nowhere", folder.join("dangling")).unwrap();
        symlink("live", folder.join("to-live")).unwrap();
        symlink("loop", folder.join("loop")).unwrap();
        drop(T::serve(&folder.addr("stale")).unwrap());
        let open = [
            drained(T::serve(&folder.addr("live")).unwrap()),
            other_type::<T>(&folder.addr("other-type")),
            drained(T::serve(&folder.addr("good")).unwrap()),
        ];
        let good = folder.addr("good");
        Self { folder, good, _open: open }
    }
}

/// Reads away what is sent to a datagram socket, whose queue would fill in the course of a table.
/// The thread ends with the test process.
fn drained(fd: OwnedFd) -> OwnedFd {
    let reader = rustix::io::fcntl_dupfd_cloexec(&fd, 0).unwrap();
    std::thread::spawn(move || {
        let reader = afunix::UnixDatagram::try_from(reader);
        while reader.as_ref().is_ok_and(|reader| reader.recv(&mut [0]).is_ok()) {}
    });
    fd
}

const ROWS: &[Row] = &[
    ("file", IN_USE, REFUSED),
    ("directory", IN_USE, REFUSED),
    (".", IN_USE, REFUSED),
    ("..", IN_USE, REFUSED),
    ("/", IN_USE, REFUSED),
    ("live", IN_USE, OK),
    ("stale", IN_USE, REFUSED),
    ("other-type", IN_USE, PROTOTYPE),
    ("fifo", IN_USE, REFUSED),
    ("/dev/null", IN_USE, REFUSED),
    ("dangling", IN_USE, NO_ENT),
    ("to-live", IN_USE, OK),
    ("loop", IN_USE, LOOP),
    ("loop/name", LOOP, LOOP),
    ("missing", OK, NO_ENT),
    ("missing/name", NO_ENT, NO_ENT),
    ("file/name", NOT_DIR, NOT_DIR),
    ("live/name", NOT_DIR, NOT_DIR),
    ("missing/", NO_ENT, NO_ENT),
    ("directory/", IN_USE, REFUSED),
    ("live/", IN_USE, NOT_DIR),
    ("/proc/afunix", NO_ENT, NO_ENT),
];

for_data!(
    bind_to_a_path_of_each_kind_says_the_errno_of_the_table
    connect_to_a_path_of_each_kind_says_the_errno_of_the_table
    read_only_filesystem_lets_connect_but_not_bind
);
for_connecting!(
    socket_that_is_bound_but_does_not_listen_refuses
    path_of_the_other_type_that_does_not_listen_is_eprototype
);

fn bind_to_a_path_of_each_kind_says_the_errno_of_the_table<T: Data>(_: &str) {
    let stage = Stage::new::<T>();
    let folder = stage.folder.path();
    check_bind::<T>(folder, folder, ROWS);
}

fn connect_to_a_path_of_each_kind_says_the_errno_of_the_table<T: Data + 'static>(_: &str) {
    let stage = Stage::new::<T>();
    check_connect::<T>(stage.folder.path(), &stage.good, ROWS);
}

fn read_only_filesystem_lets_connect_but_not_bind<T: Data + 'static>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            println!("skipped: only root may mount");
            return;
        }
        let (folder, spare) = (TempDir::new(), TempDir::new());
        if let Err(error) = mount(&folder, "tmpfs", 0) {
            println!("skipped: cannot mount: {error}");
            return;
        }
        let _live = drained(T::serve(&folder.addr("live")).unwrap());
        mount(&folder, "", libc::MS_REMOUNT | libc::MS_RDONLY).unwrap();
        let rows = [("live", IN_USE, OK), ("missing", ROFS, NO_ENT)];
        check_bind::<T>(folder.path(), spare.path(), &rows);
        check_connect::<T>(folder.path(), &folder.addr("live"), &rows);
        // The folder that it hides can be removed only when it is gone.
        let target = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }, 0);
    });
}

/// Mounts at the folder, or changes the mount there. The first time, this thread gets mounts of its
/// own, which are gone with it.
fn mount(folder: &TempDir, kind: &str, flags: libc::c_ulong) -> std::io::Result<()> {
    let target = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
    let kind = std::ffi::CString::new(kind).unwrap();
    let (none, private) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    let check = |done: i32| if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    if flags == 0 {
        // SAFETY: a number alone.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        // SAFETY: whatever is not null is a C string.
        check(unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) })?;
    }
    // SAFETY: whatever is not null is a C string.
    check(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, none.cast()) })
}

fn socket_that_is_bound_but_does_not_listen_refuses<T: Connects + 'static>(_: &str) {
    let folder = TempDir::new();
    let _good = T::serve(&folder.addr("good")).unwrap();
    let path = T::bind(&folder.addr("bound")).unwrap();
    let (_abstract, name) = T::autobind().unwrap();
    for target in [folder.addr("bound"), name] {
        let refused = T::connect(&target).map(drop);
        assert_eq!(refused, REFUSED);
        check_reach::<T>(&target, "bound", REFUSED, folder.path(), &folder.addr("good"));
    }
    // It was not harmed, and can be connected to when it listens.
    let _listener = path.listen(1).unwrap();
    assert!(T::connect(&folder.addr("bound")).is_ok());
}

/// The type is looked at before the state.
fn path_of_the_other_type_that_does_not_listen_is_eprototype<T: Connects>(_: &str) {
    let folder = TempDir::new();
    let target = folder.addr("bound");
    let _bound: OwnedFd = if T::TYPE == libc::SOCK_STREAM {
        afunix::UnixSeqpacket::bind(&target).unwrap().into()
    } else {
        afunix::UnixStream::bind(&target).unwrap().into()
    };
    let before = snapshot(folder.path());
    assert_eq!(T::connect(&target).map(drop), PROTOTYPE);
    assert_eq!(T::unbound().unwrap().connect_to(&target), PROTOTYPE);
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn relative_dots_and_root_are_taken_for_bind_and_refused_for_connect() {
    let _watchdog = crate::common::Watchdog::new();
    for path in [".", "..", "/", "./", "/."] {
        assert_eq!(afunix::UnixStream::bind(&addr(path)).map(drop), IN_USE, "{path}");
        assert_eq!(afunix::UnixStream::connect(&addr(path)).map(drop), REFUSED, "{path}");
        let sender = afunix::UnixDatagram::unbound().unwrap();
        assert_eq!(sender.send_to(b"x", &addr(path)).map(drop), REFUSED, "{path}");
    }
}
