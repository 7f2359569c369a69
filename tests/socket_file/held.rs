//! The descriptors that a socket's file holds: two, which no other program inherits; and of those that it
//! takes to make, none is left.

use std::fs;
use std::path::Path;

use afunix::{AsFd, Errno, FileAddr, SocketFile, SocketFileError};
use rustix::fs::{FlockOperation, OFlags, fcntl_getfl, flock, fstat};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::common::{TempDir, open_fds, passes_in_child};
use crate::kit::{Files, bytes, names, open, ways};

for_data!(
    file_holds_two_descriptors_which_are_close_on_exec
    no_error_leaves_a_descriptor_open
    client_by_a_long_path_holds_its_socket_alone
);

fn file_holds_two_descriptors_which_are_close_on_exec<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let long = folder.join("d".repeat(200));
        fs::create_dir(&long).unwrap();
        for path in [folder.join("name"), folder.join("n".repeat(255)), long.join("name")] {
            for (way, set) in ways() {
                let before = open_fds();
                let (server, file) = T::make(set(SocketFile::options(bytes(&path)))).unwrap();
                let held: Vec<_> =
                    open_fds().into_iter().filter(|open| !before.contains(open)).collect();
                assert_eq!(held.len(), 3, "{way}: {held:?}");
                for (fd, _) in &held {
                    // SAFETY: numbers alone.
                    let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
                    assert_eq!(flags, libc::FD_CLOEXEC, "{way}: {held:?}");
                }
                assert_eq!(fcntl_getfd(file.as_fd()), Ok(FdFlags::CLOEXEC));
                // It is the file, by a descriptor that can do nothing with it.
                assert!(fcntl_getfl(file.as_fd()).unwrap().contains(OFlags::PATH));
                let (by_fd, by_path) =
                    (fstat(file.as_fd()).unwrap(), rustix::fs::lstat(bytes(&path)).unwrap());
                assert_eq!((by_fd.st_dev, by_fd.st_ino), (by_path.st_dev, by_path.st_ino));
                // Nobody holds the lock any more.
                let dir = open(path.parent().unwrap(), OFlags::RDONLY);
                flock(&dir, FlockOperation::NonBlockingLockExclusive).unwrap();
                drop(dir);
                assert_eq!(file.remove(), Ok(true));
                // The names that they have in procfs are other ones by now.
                assert_eq!(open_fds().len(), before.len() + 3, "{way}");
                drop(server);
                file.keep();
                assert_eq!(open_fds(), before, "{way}");
            }
        }
    });
}

fn no_error_leaves_a_descriptor_open<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        fs::create_dir(folder.join("open-to-all")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.join("open-to-all"), mode).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        let _live = T::serve(&folder.addr("live")).unwrap();
        let present = names(folder.path());
        let path = |name: &str| bytes(&folder.join(name)).to_vec();
        let before = open_fds();
        let fails = |what: &str, expected: Errno, path: &[u8], mode: u32| {
            for (way, set) in ways() {
                let options =
                    set(SocketFile::options(path)).mode(mode).lock_wait(std::time::Duration::ZERO);
                match T::make(options) {
                    Ok(_) => assert!(what == "live" && way.starts_with("replace"), "{way}, {what}"),
                    Err(error) => assert_eq!(error.errno(), expected, "{way}, {what}: {error}"),
                }
                assert_eq!(open_fds(), before, "{way}, {what}");
            }
        };
        fails("no name", Errno::INVAL, &path("folder/"), 0o600);
        fails("NUL", Errno::INVAL, b"a\0b", 0o600);
        fails("mode", Errno::INVAL, &path("new"), 0o1000);
        fails("long path", Errno::NAMETOOLONG, &[b'p'; 5000], 0o600);
        fails("long name", Errno::NAMETOOLONG, &path(&"n".repeat(256)), 0o600);
        fails("no folder", Errno::NOENT, &path("missing/new"), 0o600);
        fails("file as folder", Errno::NOTDIR, &path("file/new"), 0o600);
        fails("insecure", Errno::PERM, &path("open-to-all/new"), 0o600);
        fails("file", Errno::NOTSOCK, &path("file"), 0o600);
        fails("live", Errno::ADDRINUSE, &path("live"), 0o600);
        // Whoever holds the lock keeps those waiting that need it; the others find the name free.
        locked::<T>(&folder);
        assert_eq!((open_fds(), names(folder.path())), (before, present));
    });
}

fn locked<T: Files>(folder: &TempDir) {
    let dir = open(folder.path(), OFlags::RDONLY);
    flock(&dir, FlockOperation::LockExclusive).unwrap();
    let before = open_fds();
    let path = folder.join("new");
    let options = SocketFile::options(bytes(&path)).lock_wait(std::time::Duration::ZERO);
    for (way, set) in ways().filter(|(way, _)| *way != "plain") {
        assert_eq!(T::make(set(options)).map(drop), Err(SocketFileError::Locked), "{way}");
        assert_eq!(open_fds(), before, "{way}");
    }
    let (server, file) = T::make(options).unwrap();
    let before = open_fds();
    assert_eq!(file.remove(), Err(SocketFileError::Locked));
    assert_eq!(open_fds(), before);
    flock(&dir, FlockOperation::Unlock).unwrap();
    assert_eq!(file.remove(), Ok(true));
    drop(server);
}

fn client_by_a_long_path_holds_its_socket_alone<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let long = folder.join("d".repeat(200));
        fs::create_dir(&long).unwrap();
        let path = long.join("name");
        let (server, _file) = T::make(SocketFile::options(bytes(&path))).unwrap();
        let before = open_fds();
        let client = T::connect_path(bytes(&path)).unwrap();
        assert_eq!(open_fds().len(), before.len() + 1);
        assert_eq!(fcntl_getfd(&client), Ok(FdFlags::CLOEXEC));
        drop(client);
        let target = FileAddr::open(bytes(&path)).unwrap();
        assert_eq!(open_fds().len(), before.len() + 1);
        drop(target);
        for missing in [long.join("missing"), Path::new("/dev/null").into(), folder.path().into()] {
            assert!(T::connect_path(bytes(&missing)).is_err());
            assert!(FileAddr::open(bytes(&missing)).is_err());
        }
        drop(server);
        assert_eq!(
            T::connect_path(bytes(&path)).map(drop).unwrap_err().errno(),
            Errno::CONNREFUSED
        );
        // The server's own is gone, and no other is left.
        assert_eq!(open_fds().len(), before.len() - 1);
    });
}
