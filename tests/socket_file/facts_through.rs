//! What the kernel makes of paths that lead through a descriptor: each is a heading of `kernel.md`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use afunix::{Errno, SocketFile, SocketFileError, UnixAddr, UnixDatagram};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::OFlags;

use crate::common::kinds::Data;
use crate::common::{LONG, Nobody, TempDir, addr, close, is_root, passes_in_child, skip};
use crate::kit::{Files, arrives, bytes, message, names, open};

for_data!(
    path_through_a_descriptor_is_bound_and_reached_and_reported
    open_file_leads_to_its_socket
    descriptor_of_the_socket_itself_leads_nowhere
    folder_of_the_process_ends_with_its_first_thread
);

/// The address of a descriptor in one of the folders of procfs, or of a name behind it.
fn through(folder: &str, fd: &OwnedFd, name: &str) -> UnixAddr {
    addr(format!("{folder}/{}{name}", fd.as_raw_fd()))
}

const FOLDERS: [&str; 2] = ["/proc/thread-self/fd", "/proc/self/fd"];

fn connect<T: Data>(to: &UnixAddr) -> Result<T, Errno> {
    let client = T::unbound().unwrap();
    client.connect_to(to).map(|()| client)
}

/// See "A path may lead through a descriptor" in `kernel.md`.
fn path_through_a_descriptor_is_bound_and_reached_and_reported<T: Data>(_: &str) {
    let folder = TempDir::new();
    let deep = folder.join("d".repeat(200));
    fs::create_dir(&deep).unwrap();
    for flags in [OFlags::PATH, OFlags::RDONLY] {
        let dir = open(&deep, flags);
        for folder in FOLDERS {
            let at = through(folder, &dir, "/name");
            let server = T::serve(&at).unwrap();
            assert_eq!(names(&deep), ["name"]);
            let client = connect::<T>(&at).unwrap();
            // What is reported is what was given, and no path that others could use.
            assert_eq!(client.peer_addr(), Ok(at));
            arrives(&client, &server);
            if T::TYPE == libc::SOCK_DGRAM {
                assert_eq!(UnixDatagram::unbound().unwrap().send_to(b"sent", &at), Ok(4));
                assert_eq!(message(&server).as_deref(), Ok(&b"sent"[..]));
            }
            fs::remove_file(deep.join("name")).unwrap();
        }
        // The descriptor itself has a name already.
        assert_eq!(T::bind(&through(FOLDERS[0], &dir, "")).map(drop), Err(Errno::ADDRINUSE));
    }
    let none = addr(format!("{}/{}/name", FOLDERS[0], i32::MAX));
    assert_eq!(T::bind(&none).map(drop), Err(Errno::NOENT));
}

/// See "An open file leads to its socket" in `kernel.md`.
fn open_file_leads_to_its_socket<T: Data>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let server = T::serve(&folder.addr("name")).unwrap();
        let file = open(folder.join("name"), OFlags::PATH | OFlags::NOFOLLOW);
        let targets = FOLDERS.map(|folder| through(folder, &file, ""));
        for target in &targets {
            arrives(&connect::<T>(target).unwrap(), &server);
        }
        let other = T::serve(&folder.addr("other")).unwrap();
        fs::rename(folder.join("name"), folder.join("moved")).unwrap();
        fs::rename(folder.join("other"), folder.join("name")).unwrap();
        arrives(&connect::<T>(&targets[0]).unwrap(), &server);
        arrives(&connect::<T>(&folder.addr("name")).unwrap(), &other);
        // To open takes no permission on the file, to connect it does.
        if is_root() {
            for (mode, expected) in [(0o755, Err(Errno::ACCESS)), (0o002, Ok(()))] {
                fs::set_permissions(folder.join("moved"), PermissionsExt::from_mode(mode)).unwrap();
                let _nobody = Nobody::new();
                let again = open(folder.join("moved"), OFlags::PATH);
                let client = connect::<T>(&through(FOLDERS[0], &again, ""));
                assert_eq!(client.as_ref().map(drop), expected.as_ref().map(drop), "{mode:o}");
                if let Ok(client) = client {
                    arrives(&client, &server);
                }
            }
        } else {
            skip("only root may become somebody else");
        }
        fs::remove_file(folder.join("moved")).unwrap();
        arrives(&connect::<T>(&targets[0]).unwrap(), &server);
        close(server);
        assert_eq!(connect::<T>(&targets[0]).map(drop), Err(Errno::CONNREFUSED));
    });
}

/// See "An open file leads to its socket" in `kernel.md`.
fn descriptor_of_the_socket_itself_leads_nowhere<T: Data>(_: &str) {
    let folder = TempDir::new();
    let server = T::serve(&folder.addr("name")).unwrap();
    for folder in FOLDERS {
        let target = through(folder, &server, "");
        assert_eq!(connect::<T>(&target).map(drop), Err(Errno::CONNREFUSED));
        if T::TYPE == libc::SOCK_DGRAM {
            let sent = UnixDatagram::unbound().unwrap().send_to(b"x", &target);
            assert_eq!(sent, Err(Errno::CONNREFUSED));
        }
    }
    arrives(&connect::<T>(&folder.addr("name")).unwrap(), &server);
}

/// See "The folder of a process ends with its first thread" in `kernel.md`.
fn folder_of_the_process_ends_with_its_first_thread<T: Files>(test: &str) {
    passes_in_child(test, || {
        let folder = TempDir::new();
        let server = T::serve(&folder.addr("name")).unwrap();
        let file = open(folder.join("name"), OFlags::PATH);
        // SAFETY: the child does what is below, and ends by `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // Its only thread is its first, and goes.
            let leader = std::process::id();
            let asks = std::thread::spawn(move || {
                let answers = std::panic::catch_unwind(|| after_the_leader::<T>(leader, &file));
                // SAFETY: numbers alone; it does not come back.
                unsafe { libc::_exit(i32::from(answers.is_err())) };
            });
            std::mem::forget(asks);
            // SAFETY: it ends this thread, whose stack nobody needs any more.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        let start = Instant::now();
        let mut status = 0;
        // SAFETY: the status is ours to write.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            if start.elapsed() > LONG / 3 {
                // SAFETY: numbers alone; the child is ours and was not waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("the child did not end");
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert_eq!(status, 0);
        drop(server);
    });
}

fn after_the_leader<T: Files>(leader: u32, file: &OwnedFd) {
    let start = Instant::now();
    let is_gone = || {
        let stat = fs::read_to_string(format!("/proc/{leader}/task/{leader}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('Z')
    };
    while !is_gone() {
        assert!(start.elapsed() < LONG / 6, "the leader stays");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(connect::<T>(&through(FOLDERS[0], file, "")).map(drop), Ok(()));
    let of_the_process = connect::<T>(&through(FOLDERS[1], file, ""));
    assert_eq!(of_the_process.map(drop), Err(Errno::NOENT));

    // What this crate makes of it works on.
    let folder = TempDir::new();
    let path = folder.join("n".repeat(255));
    let (server, made) = T::make(SocketFile::options(bytes(&path)).mode(0o600)).unwrap();
    arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
    let again = T::make(SocketFile::options(bytes(&path)).reclaim());
    assert_eq!(again.map(drop), Err(SocketFileError::InUse));
    assert_eq!(made.remove(), Ok(true));
}
