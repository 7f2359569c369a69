//! Files of sockets: taking over what is no socket, reclaiming from the living, removing another's, fewer
//! permissions than were asked for; and connecting where there is no place.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use afunix::{Deadline, Errno, SocketFile, SocketFileError, Step, UnixListener, UnixStream};
use rustix::fs::FileType;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use crate::common::{TempDir, Watchdog, passes_in_child, raw, snapshot};

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// interprocess 2.4.7 deletes a regular file when it is to take the name over, and binds there.
#[test]
fn taking_over_deletes_no_regular_file() {
    let folder = TempDir::new();
    let path = folder.join("name");
    fs::write(&path, "somebody's").unwrap();
    let before = snapshot(folder.path());
    let options = SocketFile::options(bytes(&path));
    for options in [options.replace(), options.reclaim(), options.replace().reclaim()] {
        match options.listener().map(drop) {
            Err(SocketFileError::NotASocket { found: FileType::RegularFile, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(snapshot(folder.path()), before);
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
    }

    // Control: to one who tries whether somebody is there, it looks as if there had been.
    assert_eq!(UnixStream::connect(&folder.addr("name")).unwrap_err(), Errno::CONNREFUSED);
    fs::remove_file(&path).unwrap();
    assert!(UnixListener::bind(&folder.addr("name")).is_ok());
}

/// interprocess 2.4.7 takes the path from a live listener, which nobody finds any more.
#[test]
fn reclaiming_takes_no_name_from_a_live_listener() {
    let _watchdog = Watchdog::new();
    let folder = TempDir::new();
    let path = folder.join("name");
    let live = UnixListener::bind(&folder.addr("name")).unwrap();
    let before = snapshot(folder.path());
    let again = SocketFile::options(bytes(&path)).reclaim().listener();
    assert_eq!(again.map(drop), Err(SocketFileError::InUse));
    assert_eq!(snapshot(folder.path()), before);
    // Nobody has connected to it meanwhile, and who connects now finds it.
    live.set_nonblocking(true).unwrap();
    assert_eq!(live.accept().map(drop), Err(Errno::AGAIN));
    let _client = UnixStream::connect_path(bytes(&path)).unwrap();
    assert!(live.accept().is_ok());

    // Control: to unlink and bind is what takes it.
    fs::remove_file(&path).unwrap();
    let _thief = UnixListener::bind(&folder.addr("name")).unwrap();
    let _client = UnixStream::connect(&folder.addr("name")).unwrap();
    assert_eq!(live.accept().map(drop), Err(Errno::AGAIN));
}

/// interprocess 2.4.7 unlinks whatever is at the path when the listener is dropped.
#[test]
fn dropping_the_first_listener_leaves_the_file_of_the_second() {
    let _watchdog = Watchdog::new();
    let folder = TempDir::new();
    let path = folder.join("name");
    let options = SocketFile::options(bytes(&path)).remove_on_drop();
    let first = options.listener().unwrap();
    let (second, second_file) = options.replace().listener().unwrap();
    let before = snapshot(folder.path());
    drop(first);
    assert_eq!(snapshot(folder.path()), before);
    let _client = UnixStream::connect_path(bytes(&path)).unwrap();
    second.accept().unwrap();
    // So it is where the second knows nothing of the first.
    drop((second, second_file));
    let first = options.listener().unwrap();
    fs::remove_file(&path).unwrap();
    let second = UnixListener::bind(&folder.addr("name")).unwrap();
    let before = snapshot(folder.path());
    drop(first);
    assert_eq!(snapshot(folder.path()), before);
    let _client = UnixStream::connect_path(bytes(&path)).unwrap();
    second.accept().unwrap();

    // Control: its own is removed.
    drop(second);
    drop(options.replace().listener().unwrap());
    assert_eq!(snapshot(folder.path()), []);
}

/// With interprocess 2.4.7 a mode of 0666 is 0600 under a umask of 077: it is given to the socket before
/// it is bound, and to nothing after that.
#[test]
fn mode_is_what_was_asked_for_under_any_umask() {
    passes_in_child("files::mode_is_what_was_asked_for_under_any_umask", || {
        // SAFETY: a number alone.
        unsafe { libc::umask(0o077) };
        let folder = TempDir::new();
        let mode = |name: &str| folder.join(name).metadata().unwrap().permissions().mode() & 0o7777;
        let (stream, datagrams) = (folder.join("stream"), folder.join("datagrams"));
        let _made = SocketFile::options(bytes(&stream)).mode(0o666).listener().unwrap();
        assert_eq!(mode("stream"), 0o666);
        let _made = SocketFile::options(bytes(&datagrams)).mode(0o666).datagram().unwrap();
        assert_eq!(mode("datagrams"), 0o666);

        // Control: that much does not come of the socket's own mode.
        let socket = raw::socket(libc::SOCK_STREAM);
        rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o666)).unwrap();
        raw::bind(&socket, bytes(&folder.join("control"))).unwrap();
        assert_eq!(mode("control"), 0o600);
    });
}

/// interprocess 2.4.7, asked to connect within a time, gives a stream that is not connected when the
/// backlog stays full.
#[test]
fn connecting_where_there_is_no_place_is_an_error() {
    let _watchdog = Watchdog::new();
    let folder = TempDir::new();
    // The first is reached as it is, the second by its file.
    let deep = folder.join("d".repeat(200));
    fs::create_dir(&deep).unwrap();
    for path in [folder.join("name"), deep.join("name")] {
        let options = SocketFile::options(bytes(&path)).backlog(0);
        let (_listener, _file) = options.listener().unwrap();
        let target = afunix::FileAddr::open(bytes(&path)).unwrap();
        let _pending = UnixStream::connect(target.addr()).unwrap();
        let soon = Deadline::after(Duration::from_millis(30)).unwrap();
        let late = UnixStream::connect_deadline(target.addr(), soon);
        assert_eq!(late.map(drop), Err(Errno::TIMEDOUT));

        // Control: here the kernel says that it can be written to, which is no sign of a connection.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let naive = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        assert_eq!(net::connect(&naive, target.addr()), Err(Errno::AGAIN));
        let mut polled = [rustix::event::PollFd::new(&naive, rustix::event::PollFlags::OUT)];
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut polled, Some(&at_once)), Ok(1));
        assert!(polled[0].revents().contains(rustix::event::PollFlags::OUT));
        let naive = UnixStream::try_from(naive).unwrap();
        assert_eq!(naive.write(b"x"), Err(Errno::NOTCONN));
    }
}

/// So it is with `connect_path`, which waits as `connect` does, and is woken by the listener's end.
#[test]
fn connecting_by_path_waits_for_a_place_and_never_gives_less() {
    let test = "files::connecting_by_path_waits_for_a_place_and_never_gives_less";
    passes_in_child(test, || {
        let _watchdog = Watchdog::new();
        let folder = TempDir::new();
        let deep = folder.join("d".repeat(200));
        fs::create_dir(&deep).unwrap();
        for path in [folder.join("name"), deep.join("name")] {
            let options = SocketFile::options(bytes(&path)).backlog(0);
            let (listener, file) = options.listener().unwrap();
            let _pending = UnixStream::connect_path(bytes(&path)).unwrap();
            std::thread::scope(|scope| {
                let late =
                    crate::common::start_waiting(scope, || UnixStream::connect_path(bytes(&path)));
                listener.accept().unwrap();
                let late = late.join().unwrap().unwrap();
                let (accepted, _) = listener.accept().unwrap();
                assert_eq!(late.write(b"hello"), Ok(5));
                assert_eq!(accepted.read(&mut [0; 8]), Ok(5));
            });
            let _pending = UnixStream::connect_path(bytes(&path)).unwrap();
            std::thread::scope(|scope| {
                let never =
                    crate::common::start_waiting(scope, || UnixStream::connect_path(bytes(&path)));
                drop(listener);
                match never.join().unwrap().map(drop) {
                    Err(SocketFileError::Kernel { step: Step::Connect, errno, .. }) => {
                        assert_eq!(errno, Errno::CONNREFUSED);
                    }
                    other => panic!("{other:?}"),
                }
            });
            assert_eq!(file.remove(), Ok(true));
        }
    });
}
