//! `privsep`, and its broker by itself with workers that are not to be trusted.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::fd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use afunix::{AsFd, FromRawFd, IntoRawFd, OwnedFd, Uid, UnixListener, UnixSeqpacket};
use rustix::fs::{Mode, OFlags};

use crate::broker::{Broker, NAME_MAX, REPORT_MAX};
use crate::common::emulated::{CUT, STARTS_ITSELF, left_out_by_qemu};
use crate::common::{
    LONG, TempDir, Watchdog, finish, is_root, open_fds, passes_in_child, run as run_command, skip,
    spawn,
};
use crate::program::*;

const MARKER: &str = "THIS-STANDS-FOR-A-VIRUS";
/// An id that no system gives to anybody.
const UID: u32 = 61_301;

/// A folder with a file that is only its owner's, and with all that is no file.
fn folder() -> TempDir {
    let dir = TempDir::new();
    fs::write(dir.join("file"), "6 byte").unwrap();
    fs::set_permissions(dir.join("file"), Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(dir.join("folder")).unwrap();
    fs::write(dir.join("folder/inner"), "inner").unwrap();
    symlink("/etc/passwd", dir.join("out")).unwrap();
    symlink("file", dir.join("in")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    symlink("folder", dir.join("way")).unwrap();
    drop(UnixListener::bind(&dir.addr("socket")).unwrap());
    let fifo = CString::new(dir.join("fifo").as_os_str().as_bytes()).unwrap();
    // SAFETY: a string that ends.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    dir
}

/// What is asked for, and why it is refused.
fn refused() -> Vec<(Vec<u8>, String)> {
    let no_name = "this is not the name of a file".to_string();
    let no_part = "a name has no `/` and no NUL".to_string();
    let link = "it is a symbolic link".to_string();
    let no_file = "it is no regular file".to_string();
    let too_long = "the name is too long".to_string();
    let missing = format!("cannot open it: {}", words(libc::ENOENT));
    let mut all = Vec::new();
    let mut add = |name: &[u8], reason: &String| all.push((name.to_vec(), reason.clone()));
    for name in ["", ".", ".."] {
        add(name.as_bytes(), &no_name);
    }
    for name in ["/etc/passwd", "../file", "folder/inner", "./file", "way/inner", "/", "file/"] {
        add(name.as_bytes(), &no_part);
    }
    for name in [&b"file\0"[..], b"\0", b"fi\0le", b"\0file"] {
        add(name, &no_part);
    }
    for name in ["out", "in", "dangling", "way"] {
        add(name.as_bytes(), &link);
    }
    for name in ["folder", "fifo", "socket"] {
        add(name.as_bytes(), &no_file);
    }
    for name in [&b"none"[..], b"\xff\xfe", b"file ", b"\n", &[b'n'; NAME_MAX]] {
        add(name, &missing);
    }
    for len in [NAME_MAX + 1, REPORT_MAX, REPORT_MAX + 1, 100_000] {
        add(&vec![b'n'; len], &too_long);
    }
    all
}

/// Who this process is for those who get its messages.
fn me() -> Uid {
    rustix::process::getuid()
}

/// What the broker reported, and how it ended.
type Served = (Vec<Vec<u8>>, Result<(), String>);

/// Serves a worker in a thread; what it came to is told in the end.
fn serve(dir: &Path, worker: Uid, messages_max: usize, act: impl FnOnce(UnixSeqpacket)) -> Served {
    let _watchdog = Watchdog::new();
    let (socket, workers) = UnixSeqpacket::pair().unwrap();
    socket.set_passcred(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let folder =
        rustix::fs::open(dir.as_os_str().as_bytes(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .unwrap();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || {
            let mut reports = Vec::new();
            let broker = Broker { socket: &socket, folder: &folder, worker, messages_max };
            let end = broker.serve(|report| {
                reports.push(report.to_vec());
                Ok(())
            });
            sender.send((reports, end)).unwrap();
        });
        act(workers);
        receiver.recv_timeout(LONG).unwrap()
    })
}

/// Asks for a file as a good worker does.
fn ask(socket: &UnixSeqpacket, name: &[u8]) -> Result<File, String> {
    socket.send(&[b"G", name].concat()).unwrap();
    let mut buf = [0; 256];
    let (received, fds) = socket.recv_fds::<2>(&mut buf).unwrap();
    let mut fds: Vec<_> = fds.into_iter().collect();
    match &buf[..received.bytes] {
        b"F" => {
            assert_eq!(fds.len(), 1);
            // SAFETY: it was given away for this.
            Ok(unsafe { <File as fd::FromRawFd>::from_raw_fd(fds.remove(0).into_raw_fd()) })
        }
        [b'E', reason @ ..] => {
            assert_eq!(fds.len(), 0);
            Err(String::from_utf8(reason.to_vec()).unwrap())
        }
        other => panic!("{}", other.escape_ascii()),
    }
}

/// Waits until so many descriptors are open: the other thread may close its own a little later. What is lost
/// stays open for ever.
#[track_caller]
fn come_to(count: usize) {
    let start = Instant::now();
    while open_fds().len() != count {
        assert!(start.elapsed() < LONG, "{:?} are open, wanted {count}", open_fds());
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn privsep_broker_gives_files_of_its_folder_and_nothing_else() {
    passes_in_child("privsep::privsep_broker_gives_files_of_its_folder_and_nothing_else", || {
        let dir = folder();
        let mut before = 0;
        let served = serve(dir.path(), me(), 100_000, |socket| {
            // With the descriptors that the two hold.
            before = open_fds().len();
            for round in 0..50 {
                for (name, reason) in refused() {
                    let shown = name.escape_ascii().to_string();
                    assert_eq!(ask(&socket, &name).err(), Some(reason), "{shown} {round}");
                }
                let mut file = ask(&socket, b"file").unwrap();
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "6 byte");
                let denied = file.write_all(b"x").unwrap_err();
                assert_eq!(denied.raw_os_error(), Some(libc::EBADF));
                // Another one, from the beginning.
                let mut again = ask(&socket, b"file").unwrap();
                assert_eq!(again.read(&mut [0; 16]).unwrap(), 6);
            }
            // It has closed each before it answers the next.
            assert!(ask(&socket, b"none").is_err());
            come_to(before);
            // Control: one that is kept is counted.
            let _kept = ask(&socket, b"file").unwrap();
            come_to(before + 1);
            thread::sleep(Duration::from_millis(20));
            assert_eq!(open_fds().len(), before + 1);
            socket.send(b"Rthat was all").unwrap();
        });
        assert_eq!(served, (vec![b"that was all".to_vec()], Ok(())));
        come_to(before - 3);
    });
}

#[test]
fn privsep_broker_ends_what_is_no_worker() {
    let dir = folder();
    let end = |act: &dyn Fn(UnixSeqpacket)| serve(dir.path(), me(), 10_000, act).1;
    let stays = |socket: UnixSeqpacket| {
        // What the broker does must not come from this end's closing.
        thread::sleep(Duration::from_millis(100));
        drop(socket);
    };
    let no = |text: &str| Err(text.to_string());
    for word in [&b"X"[..], b"g", b"\0", b"EF"] {
        let meaning = end(&|socket| {
            socket.send(word).unwrap();
            stays(socket);
        });
        assert_eq!(meaning, no("the worker says what has no meaning"));
    }
    let long = end(&|socket| {
        socket.send(&[b'R'; 2 + REPORT_MAX]).unwrap();
        stays(socket);
    });
    assert_eq!(long, no("the worker reports too much at once"));
    let (reports, most) = serve(dir.path(), me(), 1, |socket| {
        socket.send(&[b'R'; 1 + REPORT_MAX]).unwrap();
    });
    assert_eq!((reports, most), (vec![vec![b'R'; REPORT_MAX]], Ok(())));
    // Silent, and then gone: half of a second is the time here.
    let silent = end(&|socket| {
        thread::sleep(Duration::from_secs(1));
        drop(socket);
    });
    assert_eq!(silent, no("the worker says nothing"));
    assert_eq!(end(&drop), Ok(()));
    // Gone with an answer unread.
    let rude = end(&|socket| {
        socket.send(b"Gfile").unwrap();
        socket.send(b"Gnone").unwrap();
    });
    assert_eq!(rude, Ok(()));
    let (reports, much) = serve(dir.path(), me(), 3, |socket| {
        for _ in 0..4 {
            socket.send(b"Rx").unwrap();
        }
        stays(socket);
    });
    assert_eq!((reports.len(), much), (3, no("the worker says too much")));
}

/// The answers fill its queue; the broker does not wait for room.
#[test]
fn privsep_broker_waits_for_no_worker_that_does_not_read() {
    let dir = folder();
    for name in [&b"Gnone"[..], b"Gfile"] {
        let start = Instant::now();
        let (_, end) = serve(dir.path(), me(), 1_000_000, |socket| {
            socket.set_write_timeout(Some(LONG / 3)).unwrap();
            // Until the broker has gone.
            while socket.send(name).is_ok() {}
        });
        let queue = "the worker does not take its answers".to_string();
        // Without root's rights there may be too many descriptors on their way before that.
        let flight = format!("cannot answer: {}", words(libc::ETOOMANYREFS));
        assert!(end == Err(queue) || (!is_root() && end == Err(flight.clone())), "{end:?}");
        assert!(start.elapsed() < LONG / 3, "{:?}", start.elapsed());
    }
}

#[test]
fn privsep_broker_closes_what_it_is_sent() {
    if left_out_by_qemu(CUT) {
        return;
    }
    let dir = folder();
    for count in [1, 2, 253] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (_, end) = serve(dir.path(), me(), 10, |socket| {
            // SAFETY: it was given away for this.
            let writer = unsafe { OwnedFd::from_raw_fd(fd::IntoRawFd::into_raw_fd(writer)) };
            socket.send_fds(b"Gfile", &vec![writer.as_fd(); count]).unwrap();
            drop(writer);
            thread::sleep(Duration::from_millis(100));
        });
        assert_eq!(end, Err("the worker sends descriptors".to_string()));
        // If any was left, this would wait for ever, which the harness does not.
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(reader.read(&mut [0]).unwrap()));
        assert_eq!(receiver.recv_timeout(LONG), Ok(0));
    }
}

/// A worker that is still root, or anybody else but whom it should be.
#[test]
fn privsep_broker_serves_no_other_user() {
    let dir = folder();
    let (pid, uid, gid) = (std::process::id(), me().as_raw(), rustix::process::getgid().as_raw());
    let other = Uid::from_raw(uid + 1);
    for message in [&b"Gfile"[..], b"Rall is well"] {
        let (reports, end) = serve(dir.path(), other, 10, |socket| {
            socket.send(message).unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            // No answer but the end.
            let got = socket.recv(&mut [0; 16]);
            assert_eq!(got.map(|received| received.size), Ok(0));
        });
        let why = format!(
            "the worker has not dropped its rights: wanted uid {}, found pid {pid}, uid {uid}, gid {gid}",
            uid + 1
        );
        assert_eq!((reports.len(), end), (0, Err(why)));
    }
}

#[test]
fn privsep_scans_without_rights() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    if !is_root() {
        return skip("only root has rights to drop");
    }
    let dir = folder();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    // Over the bounds of the pieces that are read.
    for (name, before) in [("first", 0), ("middle", 65_530), ("later", 200_000)] {
        let bytes = [&vec![b'x'; before], MARKER.as_bytes(), b"and more"].concat();
        fs::write(dir.join(name), bytes).unwrap();
        fs::set_permissions(dir.join(name), Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(dir.join("line\nfeed"), MARKER.split_at(22).0).unwrap();
    let path = dir.path().to_str().unwrap();
    let mut args = vec![path, "file", "first", "middle", "later", "line\nfeed"];
    let mut wanted = vec!["worker: runs as uid 61300, gid 61300".to_string()];
    let denied = words(libc::EACCES);
    for (name, found) in [
        ("file", "6 bytes, clean"),
        ("first", "31 bytes, has the marker"),
        ("middle", "65561 bytes, has the marker"),
        ("later", "200031 bytes, has the marker"),
    ] {
        wanted.push(format!("worker: {name}: cannot open it by itself: {denied}"));
        wanted.push(format!("worker: {name}: {found}"));
    }
    // Anybody may read this one.
    wanted.push("worker: line\\nfeed: it could have opened this by itself".to_string());
    wanted.push("worker: line\\nfeed: 22 bytes, clean".to_string());
    let refused: Vec<_> = refused()
        .into_iter()
        .filter_map(|(name, reason)| Some((String::from_utf8(name).ok()?, reason)))
        .filter(|(name, _)| !name.contains('\0') && name.len() < REPORT_MAX / 2)
        .collect();
    args.extend(refused.iter().map(|(name, _)| name.as_str()));
    let seen = lines(&run("privsep", &args));
    assert_eq!(seen[..wanted.len()], wanted);
    let rest: Vec<_> =
        seen[wanted.len()..].iter().filter(|line| !line.contains("by itself")).collect();
    let mut wanted: Vec<_> = refused
        .iter()
        .map(|(name, reason)| format!("worker: {}: refused: {reason}", name.escape_default()))
        .collect();
    wanted.push("broker: the worker is done".to_string());
    assert_eq!(rest, wanted.iter().collect::<Vec<_>>());
    assert!(refused.len() > 15);

    // Another user.
    let seen = lines(&run("privsep", &[path, "--user", "61301", "file"]));
    assert_eq!(seen[0], "worker: runs as uid 61301, gid 61301");
    assert_eq!(seen.len(), 4);
}

#[test]
fn privsep_goes_on_without_rights_to_drop() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    let dir = folder();
    let here = dir.path();
    let mut command;
    let uid = if is_root() {
        for file in [here, &dir.join("file")] {
            chown(file, Some(UID), Some(UID)).unwrap();
        }
        // Wherever this folder is, others can start it there.
        let copy = dir.join("privsep");
        fs::copy(example("privsep").get_program(), &copy).unwrap();
        command = Command::new(copy);
        command.uid(UID).gid(UID);
        UID
    } else {
        command = example("privsep");
        me().as_raw()
    };
    command.arg(here).args(["file", "out"]);
    let seen = lines(&run_command(&mut command));
    assert_eq!(seen[0], "broker: not root, so the worker keeps the rights of this user");
    assert!(seen[1].starts_with(&format!("worker: runs as uid {uid}, gid ")), "{}", seen[1]);
    assert_eq!(
        seen[2..],
        [
            "worker: file: it could have opened this by itself",
            "worker: file: 6 bytes, clean",
            "worker: out: it could have opened this by itself",
            "worker: out: refused: it is a symbolic link",
            "broker: the worker is done",
        ]
    );
}

/// A broker with a worker that has work for a long time, and the number of that.
fn busy() -> (TempDir, Running, libc::pid_t) {
    let dir = TempDir::new();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    // A hole takes no room.
    File::create(dir.join("large")).unwrap().set_len(64 << 20).unwrap();
    let path = dir.path().to_str().unwrap();
    let args: Vec<&str> = [path].into_iter().chain(std::iter::repeat_n("large", 200)).collect();
    let broker = Running::start("privsep", &args);
    while !broker.line().starts_with("worker: runs as ") {}
    let id = broker.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let worker = children.trim().parse().expect("one child");
    (dir, broker, worker)
}

fn kill(pid: libc::pid_t, signal: i32) {
    // SAFETY: numbers alone.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Whether a process runs, or is stopped: is more than a zombie that its new parent has not seen yet.
fn lives(pid: libc::pid_t) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

#[test]
fn privsep_worker_ends_with_its_broker() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let (_dir, mut broker, worker) = busy();
        // By itself it does nothing any more.
        kill(worker, libc::SIGSTOP);
        thread::sleep(Duration::from_millis(50));
        assert!(lives(worker));
        broker.signal(signal);
        let output = broker.child().wait().unwrap();
        assert_eq!(output.signal(), Some(signal));
        let start = Instant::now();
        while lives(worker) {
            assert!(start.elapsed() < LONG / 3, "the worker goes on");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn privsep_broker_ends_with_its_worker() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    let (_dir, mut broker, worker) = busy();
    kill(worker, libc::SIGKILL);
    let said = complaint(&finish_early(&mut broker));
    assert_eq!(said, "privsep: the worker was ended by signal 9\n");
}

/// Where nobody reads what it prints the broker ends, and so does the worker.
#[test]
fn privsep_ends_when_nobody_reads_what_it_prints() {
    if left_out_by_qemu(STARTS_ITSELF) {
        return;
    }
    let dir = folder();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = example("privsep");
    command.arg(dir.path()).args(["file"; 100]).stdin(Stdio::null()).stdout(writer);
    let output = finish(spawn(command.stderr(Stdio::piped())).unwrap());
    let said = complaint(&output);
    assert!(said.starts_with("privsep: cannot print: "), "{said}");
}

#[test]
fn privsep_says_what_is_wrong() {
    let dir = folder();
    let path = dir.path().to_str().unwrap();
    let says = |args: &[&str], wanted: &str| {
        let message = complaint(&run("privsep", args));
        let first = message.lines().next().unwrap_or_default();
        assert_eq!(first, format!("privsep: {wanted}"), "{args:?}");
    };
    let usage = "usage: privsep DIRECTORY NAME... [--user NUMBER]";
    says(&[], usage);
    says(&[path], usage);
    says(&[path, "file", "--fast"], "unknown option --fast");
    for user in ["0", "65534", "4294967295", "-1", "root"] {
        let number = "--user wants the number of a user, not of root and not 65534";
        says(&[path, "file", "--user", user], number);
    }
    let missing = format!("{path}/none");
    says(&[&missing, "x"], &format!("cannot open {missing}: {}", words(libc::ENOENT)));
    let file = format!("{path}/file");
    says(&[&file, "x"], &format!("cannot open {file}: {}", words(libc::ENOTDIR)));
    // A worker that somebody else starts.
    let pid = std::process::id().to_string();
    says(&["--worker"], "a worker is started by its broker");
    says(
        &["--worker", "-", "1", path, "file"],
        "cannot stay with the broker: it has ended already",
    );
    let message = complaint(&run("privsep", &["--worker", "-", &pid, path, "file"]));
    assert!(message.starts_with("privsep: a worker is started by its broker: "), "{message}");
}
