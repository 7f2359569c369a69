//! What the kernel does with a socket's file, without this crate: each is a heading of `kernel.md`.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use afunix::Errno;
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, flock, fstat,
    renameat_with,
};

use crate::common::kinds::{Connects, Data};
use crate::common::{Nobody, TempDir, addr, close, is_root, passes_in_child, skip};
use crate::kit::{arrives, bytes, names, next, open};

for_data!(
    descriptor_of_a_socket_tells_and_changes_nothing_of_its_file
    name_goes_to_another_socket_by_rename_and_the_first_lives_on
    rename_can_refuse_to_replace_and_can_exchange
    number_of_a_file_comes_again_once_nobody_has_it_open
    who_binds_owns_the_file
);
for_connecting!(nobody_connects_before_listen);

fn mode_of(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn by_path(path: impl AsRef<Path>) -> OwnedFd {
    open(path, OFlags::PATH | OFlags::NOFOLLOW)
}

/// See "A socket's descriptor is not its file" and "A mode given before the bind" in `kernel.md`.
fn descriptor_of_a_socket_tells_and_changes_nothing_of_its_file<T: Data>(_: &str) {
    let folder = TempDir::new();
    let socket = T::unbound().unwrap();
    fchmod(&socket, Mode::from_raw_mode(0o600)).unwrap();
    socket.bind_to(&folder.addr("name")).unwrap();
    let file = fs::symlink_metadata(folder.join("name")).unwrap();
    assert_eq!(file.mode() & 0o7777, 0o600);

    let socket_itself = fstat(&socket).unwrap();
    #[allow(clippy::unnecessary_cast)]
    let its_number = (socket_itself.st_dev as u64, socket_itself.st_ino as u64);
    assert_ne!(its_number, (file.dev(), file.ino()));
    fchmod(&socket, Mode::from_raw_mode(0o640)).unwrap();
    assert_eq!(fstat(&socket).unwrap().st_mode & 0o7777, 0o640);
    assert_eq!(mode_of(folder.join("name")), 0o600);
    // Nor does a change of the file change it.
    fs::set_permissions(folder.join("name"), PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(fstat(&socket).unwrap().st_mode & 0o7777, 0o640);
    fs::remove_file(folder.join("name")).unwrap();
    assert_eq!(fstat(&socket).unwrap().st_nlink, 1);
}

/// See "Nobody connects before listen" in `kernel.md`.
fn nobody_connects_before_listen<T: Connects>(_: &str) {
    let folder = TempDir::new();
    let at = folder.addr("name");
    let socket = T::unbound().unwrap();
    socket.bind_to(&at).unwrap();
    assert_eq!(T::connect(&at).map(drop), Err(Errno::CONNREFUSED));
    let listener = socket.listen(5).unwrap();
    let client = T::connect(&at).unwrap();
    arrives(&client, &listener.into());

    // A datagram socket is there at once.
    let socket = afunix::UnixDatagram::bind(&folder.addr("datagrams")).unwrap();
    let client = afunix::UnixDatagram::unbound().unwrap();
    client.connect(&folder.addr("datagrams")).unwrap();
    arrives(&client, &socket.into());
}

/// See "Permissions and owner of an open file" in `kernel.md`.
#[test]
fn permissions_and_owner_are_set_by_a_descriptor_that_is_open_for_the_path_alone() {
    let folder = TempDir::new();
    let path = folder.join("name");
    let _socket = afunix::UnixDatagram::bind(&addr(&path)).unwrap();
    let file = by_path(&path);
    assert_eq!(fchmod(&file, Mode::from_raw_mode(0o600)), Err(Errno::BADF));
    assert_eq!(fchown(&file, None, None), Err(Errno::BADF));
    // It leads to the file even when the name leads to another.
    fs::rename(&path, folder.join("moved")).unwrap();
    File::create(&path).unwrap();
    let other = mode_of(&path);
    for folder_of_procfs in ["/proc/self/fd", "/proc/thread-self/fd"] {
        let through = format!("{folder_of_procfs}/{}", rustix::fd::AsRawFd::as_raw_fd(&file));
        fs::set_permissions(&through, PermissionsExt::from_mode(0o666)).unwrap();
        assert_eq!((mode_of(folder.join("moved")), mode_of(&path)), (0o666, other));
        fs::set_permissions(&through, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!((mode_of(folder.join("moved")), mode_of(&path)), (0o600, other));
    }
    match fchmodat2(&file, 0o640) {
        Ok(()) => assert_eq!((mode_of(folder.join("moved")), mode_of(&path)), (0o640, other)),
        Err(libc::ENOSYS) => println!("skipped: fchmodat2 is of Linux 6.6"),
        Err(errno) => panic!("{errno}"),
    }
    if !is_root() {
        return skip("only root may give a file away");
    }
    let (uid, gid) = (Uid::from_raw(1234), Gid::from_raw(4321));
    rustix::fs::chownat(&file, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH).unwrap();
    let moved = fs::symlink_metadata(folder.join("moved")).unwrap();
    assert_eq!((moved.uid(), moved.gid()), (1234, 4321));
    assert_eq!(fs::symlink_metadata(&path).unwrap().uid(), 0);
}

fn fchmodat2(file: &OwnedFd, mode: u32) -> Result<(), i32> {
    const NUMBER: libc::c_long = 452;
    let file = rustix::fd::AsRawFd::as_raw_fd(file);
    // SAFETY: the path is a C string; all else is numbers.
    match unsafe { libc::syscall(NUMBER, file, c"".as_ptr(), mode, libc::AT_EMPTY_PATH) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().raw_os_error().unwrap()),
    }
}

/// See "Who binds owns the file" in `kernel.md`.
fn who_binds_owns_the_file<T: Data>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may become somebody else");
        }
        let folder = TempDir::new();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let owner = |name: &str| {
            let file = fs::symlink_metadata(folder.join(name)).unwrap();
            (file.uid(), file.gid())
        };
        // Whoever made the socket, and whatever it was given.
        let (plain, given) = (T::unbound().unwrap(), T::unbound().unwrap());
        fchown(&given, Some(Uid::from_raw(1234)), Some(Gid::from_raw(4321))).unwrap();
        {
            let _nobody = Nobody::new();
            plain.bind_to(&folder.addr("plain")).unwrap();
        }
        given.bind_to(&folder.addr("given")).unwrap();
        assert_eq!(owner("plain"), (Nobody::UID, Nobody::UID));
        assert_eq!(owner("given"), (0, 0));
        // The group is the folder's, if that hands it on.
        let path = CString::new(folder.path().as_os_str().as_bytes()).unwrap();
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::chown(path.as_ptr(), 0, 4321) }, 0);
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o2777)).unwrap();
        let _socket = T::bind(&folder.addr("in-group")).unwrap();
        assert_eq!(owner("in-group"), (0, 4321));
    });
}

/// See "A name can be taken over" in `kernel.md`.
fn name_goes_to_another_socket_by_rename_and_the_first_lives_on<T: Data>(_: &str) {
    let folder = TempDir::new();
    let connect = || {
        let client = T::unbound().unwrap();
        client.connect_to(&folder.addr("name")).map(|()| client)
    };
    let first = T::serve(&folder.addr("name")).unwrap();
    let old = connect().unwrap();
    let second = T::serve(&folder.addr("other")).unwrap();
    fs::rename(folder.join("other"), folder.join("name")).unwrap();
    assert_eq!(names(folder.path()), ["name"]);
    let new = connect().unwrap();
    arrives(&new, &second);
    // What was pending is still there, and is accepted now.
    arrives(&old, &first);
    assert_eq!(new.peer_addr(), Ok(folder.addr("other")));
    assert_eq!(old.peer_addr(), Ok(folder.addr("name")));
    close(second);
    assert_eq!(connect().map(drop), Err(Errno::CONNREFUSED));
}

/// See "A rename can refuse to replace, or exchange" in `kernel.md`.
fn rename_can_refuse_to_replace_and_can_exchange<T: Data>(_: &str) {
    let folder = TempDir::new();
    let connect = |name: &str| {
        let client = T::unbound().unwrap();
        client.connect_to(&folder.addr(name)).map(|()| client)
    };
    let dir = by_path(folder.path());
    let rename = |from: &str, to: &str, how| renameat_with(&dir, from, &dir, to, how);
    let (a, b) = (T::serve(&folder.addr("a")).unwrap(), T::serve(&folder.addr("b")).unwrap());
    assert_eq!(rename("a", "b", RenameFlags::NOREPLACE), Err(Errno::EXIST));
    assert_eq!(rename("a", "missing", RenameFlags::EXCHANGE), Err(Errno::NOENT));
    arrives(&connect("a").unwrap(), &a);
    rename("a", "b", RenameFlags::EXCHANGE).unwrap();
    arrives(&connect("a").unwrap(), &b);
    arrives(&connect("b").unwrap(), &a);
    rename("a", "c", RenameFlags::NOREPLACE).unwrap();
    arrives(&connect("c").unwrap(), &b);
    // Files of any kind are exchanged, which is why it takes a look at what came out.
    fs::create_dir(folder.join("folder")).unwrap();
    rename("c", "folder", RenameFlags::EXCHANGE).unwrap();
    assert!(folder.join("c").is_dir());
    arrives(&connect("folder").unwrap(), &b);
    // A plain rename replaces a file without a word.
    File::create(folder.join("file")).unwrap();
    fs::rename(folder.join("folder"), folder.join("file")).unwrap();
    arrives(&connect("file").unwrap(), &b);
}

/// See "Who asks by a datagram socket is not noticed" in `kernel.md`.
#[test]
fn datagram_socket_that_connects_tells_the_dead_and_disturbs_nobody() {
    let folder = TempDir::new();
    let probe = || afunix::UnixDatagram::unbound().unwrap().connect(&folder.addr("name"));
    let listener = <afunix::UnixStream as Data>::serve(&folder.addr("name")).unwrap();
    assert_eq!(probe(), Err(Errno::PROTOTYPE));
    assert_eq!(next(&listener).map(drop), Err(Errno::AGAIN));
    close(listener);
    assert_eq!(probe(), Err(Errno::CONNREFUSED));
    fs::remove_file(folder.join("name")).unwrap();
    // Before it listens, too, where one of its own type would be refused as by the dead.
    let bound = afunix::UnixSeqpacket::bind(&folder.addr("name")).unwrap();
    assert_eq!(probe(), Err(Errno::PROTOTYPE));
    let refused = afunix::UnixSeqpacket::connect(&folder.addr("name"));
    assert_eq!(refused.map(drop), Err(Errno::CONNREFUSED));
    close(bound);
    assert_eq!(probe(), Err(Errno::CONNREFUSED));
    fs::remove_file(folder.join("name")).unwrap();
    let datagrams = afunix::UnixDatagram::bind(&folder.addr("name")).unwrap();
    assert_eq!(probe(), Ok(()));
    let (_elsewhere, at) = afunix::UnixDatagram::autobind().unwrap();
    datagrams.connect(&at).unwrap();
    assert_eq!(probe(), Err(Errno::PERM));
    close(datagrams);
    assert_eq!(probe(), Err(Errno::CONNREFUSED));
}

/// See "A directory can be locked" in `kernel.md`.
#[test]
fn lock_of_a_directory_excludes_and_makes_no_file() {
    let folder = TempDir::new();
    let open = |flags| crate::kit::open(folder.path(), flags);
    let (first, second) = (open(OFlags::RDONLY), open(OFlags::RDONLY));
    let lock = |dir: &OwnedFd| flock(dir, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(lock(&first), Ok(()));
    assert_eq!(lock(&first), Ok(()), "again by the same");
    assert_eq!(lock(&second), Err(Errno::WOULDBLOCK));
    assert_eq!(names(folder.path()), [""; 0]);
    // By a copy it is the same lock, and by either it can be given up.
    let copy = rustix::io::fcntl_dupfd_cloexec(&first, 0).unwrap();
    assert_eq!(lock(&copy), Ok(()));
    close(first);
    assert_eq!(lock(&second), Err(Errno::WOULDBLOCK));
    flock(&copy, FlockOperation::Unlock).unwrap();
    assert_eq!(lock(&second), Ok(()));
    close(second);
    assert_eq!(lock(&copy), Ok(()));
    assert_eq!(lock(&open(OFlags::PATH)), Err(Errno::BADF));
    // Names come and go all the same: it binds those alone who ask for it.
    File::create(folder.join("file")).unwrap();
    // Another directory has another lock.
    let other = TempDir::new();
    assert_eq!(lock(&crate::kit::open(other.path(), OFlags::RDONLY)), Ok(()));
}

/// See "Numbers of files come again" and "A bound file's inode is pinned" in `kernel.md`.
fn number_of_a_file_comes_again_once_nobody_has_it_open<T: Data>(_: &str) {
    const ROUNDS: usize = 50;
    const EXT4: u64 = 0xef53;
    let folder = TempDir::new();
    let path = folder.join("name");
    let number = || fs::symlink_metadata(&path).unwrap().ino();
    let again = |pinned: bool| {
        let mut same = 0;
        for _ in 0..ROUNDS {
            let socket = T::bind(&addr(&path)).unwrap();
            let (before, pin) = (number(), pinned.then(|| by_path(&path)));
            fs::remove_file(&path).unwrap();
            close(socket);
            File::create(&path).unwrap();
            same += usize::from(number() == before);
            fs::remove_file(&path).unwrap();
            drop(pin);
        }
        same
    };
    assert_eq!(again(true), 0);
    // Control: where that was the reason.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
    let kind = rustix::fs::statfs(bytes(folder.path())).unwrap().f_type as u64;
    if kind == EXT4 {
        assert!(again(false) > 0);
    } else {
        println!("skipped: the file system here ({kind:#x}) is not known to use numbers again");
    }
}
