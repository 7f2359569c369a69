//! The file of another, opened: which inode it leads to, whatever becomes of its name; and what it does
//! not lead to.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use afunix::{AsFd, Errno, FileAddr, OwnedFd, SocketFile, Step, UnixDatagram};
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::common::{Nobody, TempDir, close, is_root, passes_in_child, skip};
use crate::kit::{Files, arrives, by_kernel, bytes, no_socket, nothing_came, open, through_file};

for_data!(
    opened_file_is_reached_after_another_was_renamed_over_it
    opened_file_is_reached_after_it_was_renamed_or_removed
    file_of_a_socket_that_was_closed_is_refused
    what_is_no_socket_is_not_opened
    descriptor_of_a_socket_is_refused_and_closed
    symbolic_links_are_followed
    write_permission_is_asked_for_when_connecting_and_not_when_opening
    descriptor_is_close_on_exec_and_can_be_given_away
);

fn client<T: Files>(target: &FileAddr) -> Result<T, Errno> {
    let client = T::unbound().unwrap();
    client.connect_to(target.addr()).map(|()| client)
}

fn opened_file_is_reached_after_another_was_renamed_over_it<T: Files>(_: &str) {
    let folder = TempDir::new();
    let first = T::serve(&folder.addr("name")).unwrap();
    let target = FileAddr::open(bytes(&folder.join("name"))).unwrap();
    let second = T::serve(&folder.addr("second")).unwrap();
    fs::rename(folder.join("second"), folder.join("name")).unwrap();
    arrives(&client::<T>(&target).unwrap(), &first);
    nothing_came::<T>(&second);
    // The name leads to the other.
    arrives(&through_file::<T>(bytes(&folder.join("name"))), &second);
    nothing_came::<T>(&first);
    if T::TYPE == libc::SOCK_DGRAM {
        let sender = UnixDatagram::unbound().unwrap();
        assert_eq!(sender.send_to(b"first", target.addr()), Ok(5));
        assert_eq!(crate::kit::message(&first).as_deref(), Ok(&b"first"[..]));
    }
}

fn opened_file_is_reached_after_it_was_renamed_or_removed<T: Files>(_: &str) {
    let folder = TempDir::new();
    let path = folder.join("name");
    let (server, file) = T::make(SocketFile::options(bytes(&path))).unwrap();
    let target = FileAddr::open(bytes(&path)).unwrap();
    fs::rename(&path, folder.join("other")).unwrap();
    arrives(&client::<T>(&target).unwrap(), &server);
    fs::rename(folder.join("other"), &path).unwrap();
    assert_eq!(file.remove(), Ok(true));
    arrives(&client::<T>(&target).unwrap(), &server);
    assert_eq!(fstat(target.as_fd()).unwrap().st_nlink, 0);
    // Nor does another file at the name change that.
    fs::write(&path, "").unwrap();
    arrives(&client::<T>(&target).unwrap(), &server);
}

fn file_of_a_socket_that_was_closed_is_refused<T: Files>(_: &str) {
    let folder = TempDir::new();
    let server = T::serve(&folder.addr("name")).unwrap();
    let target = FileAddr::open(bytes(&folder.join("name"))).unwrap();
    close(server);
    assert_eq!(client::<T>(&target).map(drop), Err(Errno::CONNREFUSED));
    // One that is opened only then too; and a new socket of that name is another.
    let late = FileAddr::open(bytes(&folder.join("name"))).unwrap();
    assert_eq!(client::<T>(&late).map(drop), Err(Errno::CONNREFUSED));
    let path = folder.join("name");
    let (server, _file) = T::make(SocketFile::options(bytes(&path)).reclaim()).unwrap();
    assert_eq!(client::<T>(&target).map(drop), Err(Errno::CONNREFUSED));
    nothing_came::<T>(&server);
}

fn what_is_no_socket_is_not_opened<T: Files>(_: &str) {
    let folder = TempDir::new();
    fs::write(folder.join("file"), "").unwrap();
    symlink("file", folder.join("link")).unwrap();
    let server = T::serve(&folder.addr("live")).unwrap();
    symlink("live", folder.join("to-live")).unwrap();
    for (path, kind) in [
        (folder.join("file"), FileType::RegularFile),
        (folder.join("link"), FileType::RegularFile),
        (folder.path().to_owned(), FileType::Directory),
        ("/dev/null".into(), FileType::CharacterDevice),
    ] {
        let opened = FileAddr::open(bytes(&path));
        assert_eq!(no_socket(opened), kind, "{path:?}");
        let opened = FileAddr::from_fd(open(&path, OFlags::PATH));
        assert_eq!(no_socket(opened), kind, "{path:?}");
    }
    // Whoever opened the link itself has no socket.
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let link = open(folder.join("to-live"), flags);
    let opened = FileAddr::from_fd(link);
    assert_eq!(no_socket(opened), FileType::Symlink);
    let file = open(folder.join("live"), flags);
    arrives(&client::<T>(&FileAddr::from_fd(file).unwrap()).unwrap(), &server);
}

fn descriptor_of_a_socket_is_refused_and_closed<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let server = T::serve(&folder.addr("name")).unwrap();
        let before = crate::common::open_fds();
        for fd in
            [rustix::io::fcntl_dupfd_cloexec(&server, 0).unwrap(), T::unbound().unwrap().into()]
        {
            let answer = FileAddr::from_fd(fd);
            assert_eq!(by_kernel(answer), (Step::Connect, Errno::CONNREFUSED));
        }
        let null = open("/dev/null", OFlags::RDONLY);
        no_socket(FileAddr::from_fd(null));
        assert_eq!(crate::common::open_fds(), before);
        nothing_came::<T>(&server);
    });
}

fn symbolic_links_are_followed<T: Files>(_: &str) {
    let folder = TempDir::new();
    let server = T::serve(&folder.addr("live")).unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    symlink("live", folder.join("link")).unwrap();
    symlink("link", folder.join("second")).unwrap();
    symlink("..", folder.join("folder/up")).unwrap();
    for path in ["link", "second", "folder/up/live", "folder/up/second"] {
        let path = folder.join(path);
        let target = FileAddr::open(bytes(&path)).unwrap();
        arrives(&client::<T>(&target).unwrap(), &server);
        // What the link leads to later is another matter.
        arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
    }
    let target = FileAddr::open(bytes(&folder.join("link"))).unwrap();
    fs::remove_file(folder.join("link")).unwrap();
    symlink("missing", folder.join("link")).unwrap();
    arrives(&client::<T>(&target).unwrap(), &server);
    let opened = FileAddr::open(bytes(&folder.join("link")));
    assert_eq!(by_kernel(opened), (Step::Look, Errno::NOENT));
    symlink("loop", folder.join("loop")).unwrap();
    let opened = FileAddr::open(bytes(&folder.join("loop")));
    assert_eq!(by_kernel(opened), (Step::Look, Errno::LOOP));
}

/// See "Write permission on the file admits, and is checked first" in `kernel.md`.
fn write_permission_is_asked_for_when_connecting_and_not_when_opening<T: Files>(test: &str) {
    passes_in_child(test, || {
        if !is_root() {
            return skip("only root may become somebody else");
        }
        let folder = TempDir::new();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let path = folder.join("name");
        let (server, _file) = T::make(SocketFile::options(bytes(&path)).mode(0o600)).unwrap();
        let nobody = Nobody::new();
        let target = FileAddr::open(bytes(&path)).unwrap();
        assert_eq!(client::<T>(&target).map(drop), Err(Errno::ACCESS));
        drop(nobody);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o602)).unwrap();
        let nobody = Nobody::new();
        arrives(&client::<T>(&target).unwrap(), &server);
        drop(nobody);
        // To search the directory it takes to open, and not to connect.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let _nobody = Nobody::new();
        let opened = FileAddr::open(bytes(&path));
        assert_eq!(by_kernel(opened), (Step::Look, Errno::ACCESS));
        arrives(&client::<T>(&target).unwrap(), &server);
    });
}

fn descriptor_is_close_on_exec_and_can_be_given_away<T: Files>(_: &str) {
    let folder = TempDir::new();
    let server = T::serve(&folder.addr("name")).unwrap();
    let target = FileAddr::open(bytes(&folder.join("name"))).unwrap();
    assert_eq!(fcntl_getfd(target.as_fd()), Ok(FdFlags::CLOEXEC));
    assert!(format!("{target:?}").starts_with("FileAddr(UnixAddr(pathname /proc/"), "{target:?}");
    let addr = *target.addr();
    let fd = OwnedFd::from(target);
    assert_eq!(fstat(&fd).unwrap().st_nlink, 1);
    // It is the descriptor that the address needs.
    let again = FileAddr::from_fd(fd).unwrap();
    assert_eq!(again.addr(), &addr);
    arrives(&client::<T>(&again).unwrap(), &server);
}
