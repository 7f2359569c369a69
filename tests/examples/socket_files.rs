//! `single_instance`, `takeover` and `long_path`.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use afunix::{Errno, UnixDatagram, UnixListener, UnixSeqpacketListener, UnixStream};

use crate::common::{LONG, TempDir, Watchdog, is_root, skip, snapshot};
use crate::program::*;

fn path_in(dir: &TempDir, name: &str) -> String {
    dir.join(name).to_str().expect("text").to_string()
}

/// Who serves there: the process that it says it is.
fn asked(path: &str) -> Result<u32, Errno> {
    let stream = UnixStream::connect(&parse(path))?;
    let mut answer = Vec::new();
    let mut buf = [0; 64];
    loop {
        match stream.read(&mut buf)? {
            0 => break,
            count => answer.extend_from_slice(&buf[..count]),
        }
    }
    let answer = String::from_utf8(answer).unwrap();
    Ok(between(&answer, "pid ", "\n").parse().expect("a process id"))
}

#[test]
fn a_second_instance_is_told_of_the_first() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let path = path_in(&dir, "one");
    let mut first = Running::server("single_instance", &path, &[]);
    let metadata = dir.join("one").symlink_metadata().unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o600);

    let before = snapshot(dir.path());
    let said = complaint(&run("single_instance", &[&path]));
    let who = format!("{path} is held by pid {},", first.id());
    let program = format!(", program {}", process_name("single_instance"));
    assert!(said.contains(&who) && said.contains(&program), "{said}");
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(asked(&path), Ok(first.id()));

    first.signal(libc::SIGTERM);
    assert_eq!(first.end(), ["interrupted"]);
    assert_eq!(snapshot(dir.path()), []);
}

#[test]
fn an_instance_follows_one_that_was_killed() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let path = path_in(&dir, "one");
    for _ in 0..3 {
        let mut killed = Running::server("single_instance", &path, &[]);
        killed.signal(libc::SIGKILL);
        killed.child().wait().unwrap();
        assert!(dir.join("one").symlink_metadata().unwrap().file_type().is_socket());
    }
    let mut last = Running::server("single_instance", &path, &[]);
    assert_eq!(asked(&path), Ok(last.id()));
    last.signal(libc::SIGINT);
    last.end();
    assert_eq!(snapshot(dir.path()), []);
}

#[test]
fn an_instance_leaves_others_alone() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let file = path_in(&dir, "file");
    std::fs::write(&file, "precious").unwrap();
    let inbox = UnixDatagram::bind(&dir.addr("datagrams")).unwrap();
    let other = UnixSeqpacketListener::bind(&dir.addr("seqpackets")).unwrap();
    let starting = UnixStream::bind(&dir.addr("starting")).unwrap();
    let before = snapshot(dir.path());
    for (name, what) in [
        ("file", "no socket but a regular file"),
        ("datagrams", "a socket of another type"),
        ("seqpackets", "a socket of another type"),
        ("starting", "one that is starting, or ending"),
    ] {
        let said = complaint(&run("single_instance", &[&path_in(&dir, name)]));
        assert!(said.contains(what), "{said}");
    }
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    drop((inbox, other, starting));
    for wrong in [&[][..], &["a", "b"]] {
        assert!(complaint(&run("single_instance", wrong)).contains("usage: single_instance PATH"));
    }
    let said = complaint(&run("single_instance", &[&path_in(&dir, "no/one")]));
    assert!(
        said.contains(&format!("cannot open the directory: {}", words(libc::ENOENT))),
        "{said}"
    );
}

#[test]
fn no_client_notices_that_a_server_takes_over() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let path = path_in(&dir, "service");
    let server = Running::server("takeover", &path, &[]);
    let mut servers = vec![server.id()];
    let done = AtomicBool::new(false);
    let last_seen = [const { AtomicU32::new(0) }; 2];
    let hammer = |last: &AtomicU32| {
        let mut seen = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let pid = asked(&path).expect("somebody who answers");
            if seen.last() != Some(&pid) {
                seen.push(pid);
                last.store(pid, Ordering::Relaxed);
            }
        }
        seen
    };
    let wait_until_seen = |server: &Running| {
        let start = Instant::now();
        while last_seen.iter().any(|last| last.load(Ordering::Relaxed) != server.id()) {
            let is_late = start.elapsed() > LONG / 2;
            done.store(is_late, Ordering::Relaxed);
            assert!(!is_late, "a client does not see {}", server.id());
            thread::sleep(Duration::from_millis(2));
        }
    };
    let mut server = thread::scope(|scope| {
        let mut server = server;
        let clients = last_seen.each_ref().map(|last| scope.spawn(move || hammer(last)));
        for _ in 0..5 {
            wait_until_seen(&server);
            let next = Running::server("takeover", &path, &[]);
            let told = next.line();
            assert!(told.starts_with(&format!("taken over from pid {},", server.id())), "{told}");
            let last = server.end();
            assert_eq!(last[last.len() - 2], "another has the name");
            servers.push(next.id());
            server = next;
        }
        wait_until_seen(&server);
        done.store(true, Ordering::Relaxed);
        for client in clients {
            // Each of them, and in their order.
            assert_eq!(client.join().expect("a client without an error"), servers);
        }
        server
    });
    assert_eq!(asked(&path), Ok(server.id()));
    server.signal(libc::SIGTERM);
    let last = server.end();
    assert_eq!(last[0], "interrupted");
    assert_eq!(snapshot(dir.path()), []);
}

#[test]
fn a_takeover_needs_no_predecessor_and_takes_a_name_from_no_other_user() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let path = path_in(&dir, "service");
    // Nothing there, then what was left by one that is no more.
    drop(UnixListener::bind(&dir.addr("service")).unwrap());
    let mut server = Running::server("takeover", &path, &[]);
    assert_eq!(asked(&path), Ok(server.id()));
    server.signal(libc::SIGTERM);
    assert_eq!(server.end(), ["interrupted", "1 clients served"]);

    std::fs::write(&path, "precious").unwrap();
    let said = complaint(&run("takeover", &[&path]));
    let wanted = "what has the name is no socket but a regular file";
    assert_eq!(said, format!("takeover: {path}: {wanted}\n"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();

    if !is_root() {
        return skip("only root can be somebody else");
    }
    let mut other = example("takeover");
    let copy = dir.join("program");
    std::fs::copy(file("takeover"), &copy).unwrap();
    if !crate::common::emulated::is_emulated() {
        // Where the folder of the examples may be closed to others.
        other = std::process::Command::new(&copy);
    }
    other.arg(&path).uid(61_301).gid(61_301);
    std::os::unix::fs::chown(dir.path(), Some(61_301), None).unwrap();
    let other = Running::spawn(other);
    assert_eq!(other.line(), format!("listening on {path}"));
    let said = complaint(&run("takeover", &[&path]));
    assert!(said.contains("another's server has the name: wanted uid 0, found pid"), "{said}");
    assert_eq!(asked(&path), Ok(other.id()));
}

#[test]
fn long_path_reaches_what_no_address_has_room_for() {
    let _watchdog = Watchdog::new();
    for len in ["300", "1000", "4000"] {
        assert_eq!(
            lines(&run("long_path", &[len])),
            [
                &format!("a path of {len} bytes"),
                &format!("as an address: path is {len} bytes, the limit is 108"),
                "a stream says hello",
                "the kernel calls it by a descriptor: true",
                "its file is removed: true",
                "a datagram says hello",
                "a seqpacket says hello",
                "by the file that was looked at: the first",
                "by the path: the second",
            ]
        );
    }
    for wrong in [&["299"][..], &["4001"], &["x"], &["300", "300"]] {
        assert!(complaint(&run("long_path", wrong)).contains("usage: long_path"));
    }
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let left = left.filter_map(Result::ok).filter(|entry| {
        entry.file_name().to_string_lossy().starts_with("afunix-long-path-")
            && !Path::new("/proc").join(&entry.file_name().to_string_lossy()[17..]).exists()
    });
    assert_eq!(left.count(), 0);
}
