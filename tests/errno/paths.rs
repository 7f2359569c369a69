//! Paths of every kind.

use std::os::unix::fs::symlink;

use afunix::{Errno, OwnedFd, UnixAddr};

use crate::common::kinds::{Connects, Data};
use crate::common::{TempDir, addr, is_root, skip, snapshot};
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

const ROWS: &[Row] = &[
    ("file", IN_USE, REFUSED),
    ("directory", IN_USE, REFUSED),
    (".", IN_USE, REFUSED),
    ("..", IN_USE, REFUSED),
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

/// Whoever may not write a folder is told just that.
fn root_folder() -> Row {
    ("/", IN_USE, if is_root() { REFUSED } else { ACCES })
}

/// To root it is sysfs itself that says that it makes no files. Elsewhere it may be mounted to be
/// read alone.
fn sysfs() -> Option<Row> {
    // SAFETY: zeros are a value of it, and the call may write it; the path is a C string.
    let (found, stat) = unsafe {
        let mut stat: libc::statfs = std::mem::zeroed();
        (libc::statfs(c"/sys".as_ptr(), &mut stat) == 0, stat)
    };
    // `SYSFS_MAGIC`, in whatever type this libc has it.
    if !found || stat.f_type != 0x6265_6572 {
        skip("there is no sysfs at /sys");
        return None;
    }
    // SAFETY: as above.
    let flags = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        assert_eq!(libc::statvfs(c"/sys".as_ptr(), &mut stat), 0);
        stat.f_flag
    };
    let bind = match flags & libc::ST_RDONLY {
        0 if is_root() => Err(Errno::PERM),
        0 => ACCES,
        _ => ROFS,
    };
    Some(("/sys/x", bind, NO_ENT))
}

for_data!(
    bind_to_a_path_of_each_kind_says_the_errno_of_the_table
    connect_to_a_path_of_each_kind_says_the_errno_of_the_table
);
for_connecting!(
    socket_that_is_bound_but_does_not_listen_refuses
    path_of_the_other_type_that_does_not_listen_is_eprototype
);

/// See "Only a socket's file is looked up by connect; bind looks at nothing" in `kernel.md`.
fn bind_to_a_path_of_each_kind_says_the_errno_of_the_table<T: Data>(_: &str) {
    let stage = Stage::new::<T>();
    let folder = stage.folder.path();
    check_bind::<T>(folder, folder, ROWS);
    check_bind::<T>(folder, folder, &[root_folder()]);
    if let Some(row) = sysfs() {
        check_bind::<T>(folder, folder, &[row]);
    }
}

fn connect_to_a_path_of_each_kind_says_the_errno_of_the_table<T: Data + 'static>(_: &str) {
    let stage = Stage::new::<T>();
    check_connect::<T>(stage.folder.path(), &stage.good, ROWS);
    check_connect::<T>(stage.folder.path(), &stage.good, &[root_folder()]);
    if let Some(row) = sysfs() {
        check_connect::<T>(stage.folder.path(), &stage.good, &[row]);
    }
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
fn dots_alone_are_taken_for_bind_and_reach_no_socket() {
    let _watchdog = crate::common::Watchdog::new();
    for path in [".", "..", "./", "../"] {
        assert_eq!(afunix::UnixStream::bind(&addr(path)).map(drop), IN_USE, "{path}");
        let connected = afunix::UnixStream::connect(&addr(path)).map(drop);
        let sender = afunix::UnixDatagram::unbound().unwrap();
        assert_eq!(sender.send_to(b"x", &addr(path)).map(drop), connected, "{path}");
        // Whose the folder is that the tests run in is not known.
        assert!(connected == REFUSED || (connected == ACCES && !is_root()), "{path}");
    }
}
