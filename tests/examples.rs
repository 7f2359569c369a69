//! The example programs as a user runs them: what they print, and how they end.

// No processes there.
#![cfg(not(miri))]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use afunix::{UnixAddr, UnixDatagram, UnixListener, UnixStream};
use common::{LONG, TempDir, assert_success, finish, finish_within};

/// The folder that cargo puts the examples in, for the profile, target and features of this test.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let this = std::env::current_exe().expect("this very program");
        let profile_dir = this.parent().and_then(Path::parent).expect("target/PROFILE/deps");
        build(profile_dir);
        profile_dir.join("examples")
    })
}

/// `cargo test --test examples` builds no examples, and what an earlier command left there may be
/// of another source or other features: so cargo is asked each time. Mostly it has nothing to do.
fn build(profile_dir: &Path) {
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()).expect("a profile") {
        "debug" => "dev",
        other => other,
    };
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--quiet",
        "--examples",
        "--profile",
        profile,
    ]);
    if cfg!(feature = "std") {
        command.args(["--features", "std"]);
    }
    let mut target_dir = profile_dir.parent().expect("target");
    // With `--target`, the profile's folder is one deeper, below the name of the target.
    let (name, above) = (target_dir.file_name(), target_dir.parent());
    if let (Some(name), Some(above)) = (name.and_then(|name| name.to_str()), above) {
        if name.contains("-linux-") && above.join(".rustc_info.json").exists() {
            command.args(["--target", name]);
            target_dir = above;
        }
    }
    command.arg("--target-dir").arg(target_dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match command.spawn() {
        Ok(cargo) => assert_success(&finish_within(Duration::from_secs(600), cargo)),
        // Where the tests were taken to another machine, what came with them must do.
        Err(error) => eprintln!("cannot start {}: {error}", env!("CARGO")),
    }
}

fn example(name: &str) -> Command {
    Command::new(folder().join(name))
}

/// Runs an example to its end, with `input` to read.
fn run_with(name: &str, args: &[&str], input: &[u8]) -> Output {
    let mut command = example(name);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("an example that starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A program that fails at once does not read it.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = finish(child);
    writer.join().expect("a thread that ends");
    output
}

fn run(name: &str, args: &[&str]) -> Output {
    run_with(name, args, b"")
}

/// The lines that a program printed, which ended well and had nothing to complain of.
#[track_caller]
fn lines(output: &Output) -> Vec<String> {
    assert_success(output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(str::to_string).collect()
}

/// What a program complained of that ended badly, but not by a panic (101) or a signal.
#[track_caller]
fn complaint(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    stderr
}

/// An example that goes on while the test does something. It is killed where the test fails, even
/// by an abort.
struct Running {
    child: Option<Child>,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut command = example(name);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: the closure makes one system call, without pointers, and nothing else.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut child = command.spawn().expect("an example that starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                // The test may have ended.
                let _ = sender.send(line.expect("text"));
            }
        });
        Self { child: Some(child), lines }
    }

    /// Starts a server and waits until it listens.
    fn server(name: &str, addr: &str, options: &[&str]) -> Self {
        let args: Vec<&str> = [addr].iter().chain(options).copied().collect();
        let server = Self::start(name, &args);
        assert_eq!(server.line(), format!("listening on {addr}"));
        server
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(LONG).expect("another line")
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("a child")
    }

    fn signal(&mut self, signal: i32) {
        let pid = i32::try_from(self.child().id()).expect("a process id");
        // SAFETY: no pointers; the child was not waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Waits for the end; gives the lines that were not read yet.
    #[track_caller]
    fn end(mut self) -> Vec<String> {
        let output = finish(self.child.take().expect("a child"));
        let rest = std::iter::from_fn(|| self.lines.recv_timeout(LONG).ok()).collect();
        assert_eq!(lines(&output), [""; 0]);
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn names() -> (TempDir, [String; 2]) {
    let dir = TempDir::new();
    let path = dir.join("socket").to_str().expect("text").to_string();
    let name = common::name("example").to_string();
    (dir, [path, name])
}

/// What the C library of this target, and so the example, calls an errno.
fn words(errno: i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(errno)
}

fn parse(text: &str) -> UnixAddr {
    UnixAddr::parse(text.as_bytes()).expect("an address")
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// What stands between `start` and `end` in a line.
#[track_caller]
fn between<'a>(line: &'a str, start: &str, end: &str) -> &'a str {
    line.strip_prefix(start)
        .and_then(|rest| rest.split_once(end))
        .unwrap_or_else(|| panic!("no {start:?} and {end:?} in {line:?}"))
        .0
}

#[track_caller]
fn assert_autobound(name: &str) {
    let digits = name.strip_prefix('@').expect("an abstract name");
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(digits.len() == 5 && digits.bytes().all(hex), "{name}");
}

#[test]
fn tour_shows_what_each_side_saw() {
    let output = run("tour", &[]);
    let seen = lines(&output);
    let pid = |line: &str| {
        let pids = line.strip_prefix("   server is process ").expect("the processes");
        let (server, client) = pids.split_once(", client is process ").expect("two");
        assert_ne!(server, client);
        (server.to_string(), client.to_string())
    };
    assert_eq!(seen.len(), 36, "{seen:#?}");
    let (server, first) = pid(&seen[1]);
    let (_, second) = pid(&seen[11]);
    let (_, third) = pid(&seen[24]);
    let dir = std::env::temp_dir().join(format!("afunix-tour-{server}"));
    let path = format!("{}/server (pathname)", dir.display());
    let client = between(&seen[13], "   server: from ", " (abstract)");
    assert_autobound(client);
    let picked = between(&seen[25], "   server: local address ", " (abstract)");
    assert_autobound(picked);
    let wanted = format!(
        r#"1. A stream at a pathname: bytes without bounds; the client is unnamed.
   server is process {server}, client is process {first}
   server: local address {path}
   server: peer address <unnamed>
   server: read "two writes"
   client: local address <unnamed>
   client: peer address {path}
   client: wrote "two "
   client: wrote "writes"
   client: read "thank you"
2. Datagrams at an abstract name: from anybody, whole or cut, answered where named.
   server is process {server}, client is process {second}
   server: local address @afunix-tour-{server} (abstract)
   server: from {client} (abstract): "short", 5 of 5 bytes
   server: from {client} (abstract): "much too", 8 of 13 bytes, the rest is lost
   server: from <unnamed>: "who?", 4 of 4 bytes
   server: no answer, for want of a name
   client: local address {client} (abstract), autobound
   client: sent "short"
   client: from @afunix-tour-{server} (abstract): "got it", 6 of 6 bytes
   client: sent "much too long"
   client: from @afunix-tour-{server} (abstract): "got it", 6 of 6 bytes
   client: sent "who?" from another socket, which is unnamed
3. Seqpacket at an autobound name: a connection that keeps messages apart.
   server is process {server}, client is process {third}
   server: local address {picked} (abstract)
   server: peer address @afunix-tour-client-{third} (abstract)
   server: received "one", 3 of 3 bytes
   server: received "two", 3 of 3 bytes
   server: received "three, t", 8 of 15 bytes, the rest is lost
   client: local address @afunix-tour-client-{third} (abstract)
   client: peer address {picked} (abstract)
   client: sent "one"
   client: sent "two"
   client: sent "three, too long"
   client: received "all three", 9 of 9 bytes"#
    );
    assert_eq!(seen, wanted.lines().collect::<Vec<_>>());
    assert!(!dir.exists(), "{}", dir.display());
}

#[test]
fn tour_says_what_it_cannot_do() {
    assert_eq!(complaint(&run("tour", &["fast"])), "tour: usage: tour\n");
    let (_dir, [path, _]) = names();
    assert_eq!(
        complaint(&run("tour", &["stream", &path])),
        format!("tour: cannot connect: {}\n", words(libc::ENOENT))
    );
    assert_eq!(
        complaint(&run("tour", &["seqpacket", "there"])),
        "tour: bad address there: text begins with byte 0x74, wanted 0x2f `/` or 0x40 `@`\n"
    );
    let mut long = example("tour");
    long.env("TMPDIR", "/tmp/no/such/folder");
    let message = complaint(&common::run(&mut long));
    assert!(message.starts_with("tour: cannot make /tmp/no/such/folder/afunix-tour-"), "{message}");
}

#[test]
fn echo_answers_many_clients_at_once() {
    let (_dir, addrs) = names();
    for addr in &addrs {
        let server = Running::server("echo_server", addr, &["--connections", "9"]);
        // It stays connected while the others come and go.
        let mut first = Running::start("echo_client", &[addr]);
        assert_eq!(server.line(), "client 1: connected from <unnamed>");
        let mut stdin = first.child().stdin.take().expect("a pipe");
        stdin.write_all(b"before\n").expect("a client that reads");
        assert_eq!(first.line(), "before");

        let others: Vec<_> = (0..8)
            .map(|i| Running::start("echo_client", &[addr, "client", &i.to_string()]))
            .collect();
        for (i, client) in others.into_iter().enumerate() {
            assert_eq!(client.end(), [format!("client {i}")]);
        }

        stdin.write_all(b"after\n").expect("a client that reads");
        assert_eq!(first.line(), "after");
        drop(stdin);
        assert_eq!(first.end(), [""; 0]);

        let mut wanted = vec!["client 1: end of file after 13 bytes".to_string()];
        for number in 2..=9 {
            wanted.push(format!("client {number}: connected from <unnamed>"));
            wanted.push(format!("client {number}: end of file after 9 bytes"));
        }
        assert_eq!(sorted(server.end()), sorted(wanted));
        assert!(!Path::new(addr).exists());
    }
}

/// Far more than both queues hold, so that each side's writes have to wait for the other.
#[test]
fn echo_gives_back_every_byte() {
    let (_dir, [path, _]) = names();
    let server = Running::server("echo_server", &path, &["--connections", "1"]);
    let bytes: Vec<u8> =
        (0..5_000_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let output = run_with("echo_client", &[&path], &bytes);
    assert_success(&output);
    assert!(output.stdout == bytes, "{} of {} bytes came back", output.stdout.len(), bytes.len());
    let wanted =
        ["client 1: connected from <unnamed>", "client 1: end of file after 5000000 bytes"];
    assert_eq!(server.end(), wanted);
}

#[test]
fn echo_server_tells_who_connects_and_who_is_lost() {
    let (_dir, [path, name]) = names();
    let server = Running::server("echo_server", &path, &["--connections", "2"]);
    let client = UnixStream::connect_from_to(&parse(&name), &parse(&path)).unwrap();
    assert_eq!(server.line(), format!("client 1: connected from {name}"));
    // Nothing of the answer is read: the server is told, and serves the next one.
    client.write(b"lost").unwrap();
    let mut byte = [0];
    assert_eq!(client.read(&mut byte), Ok(1));
    drop(client);
    assert_eq!(server.line(), format!("client 1: cannot go on: {}", words(libc::ECONNRESET)));
    assert_eq!(lines(&run("echo_client", &[&path, "next"])), ["next"]);
    let wanted = ["client 2: connected from <unnamed>", "client 2: end of file after 5 bytes"];
    assert_eq!(server.end(), wanted);
}

#[test]
fn servers_stop_at_a_signal_and_remove_their_file() {
    for (name, signal) in [
        ("echo_server", libc::SIGINT),
        ("echo_server", libc::SIGTERM),
        ("datagram_server", libc::SIGINT),
        ("datagram_server", libc::SIGTERM),
    ] {
        let (_dir, [path, _]) = names();
        let mut server = Running::server(name, &path, &[]);
        assert!(Path::new(&path).exists());
        // A client that stays does not keep the server.
        let idle = UnixStream::connect(&parse(&path));
        if idle.is_ok() {
            assert_eq!(server.line(), "client 1: connected from <unnamed>");
        }
        server.signal(signal);
        assert_eq!(server.end(), ["interrupted"]);
        assert!(!Path::new(&path).exists());
    }
}

#[test]
fn servers_say_what_is_wrong_with_their_arguments() {
    let (dir, [path, name]) = names();
    std::fs::write(&path, b"").unwrap();
    let missing = dir.join("no/socket").to_str().unwrap().to_string();
    let long = format!("@{}", "n".repeat(108));
    for (server, verb, option) in [
        ("echo_server", "listen on", "--connections"),
        ("datagram_server", "receive at", "--buffer"),
    ] {
        let says = |args: &[&str], wanted: &str| {
            let message = complaint(&run(server, args));
            let first = message.lines().next().unwrap_or_default();
            assert!(first.starts_with(&format!("{server}: {wanted}")), "{args:?}: {message}");
        };
        says(&[], &format!("usage: {server} ADDRESS [--"));
        says(
            &["socket"],
            "bad address socket: text begins with byte 0x73, wanted 0x2f `/` or 0x40 `@`",
        );
        says(&[""], "bad address : text is 0 bytes, the least is 2");
        says(&["@"], "bad address @: text is 1 byte, `@` alone, the least is 2");
        says(
            &[&long],
            &format!("bad address {long}: abstract name is 108 bytes, the limit is 107"),
        );
        says(&[&path], &format!("cannot {verb} {path}: {}", words(libc::EADDRINUSE)));
        says(&[&missing], &format!("cannot {verb} {missing}: {}", words(libc::ENOENT)));
        for number in ["0", "-1", "many"] {
            says(&[&name, option, number], &format!("{option} wants a number"));
        }
        says(&[&name, option], &format!("{option} wants a number"));
        says(&[&name, "--fast"], "unknown option --fast");
    }
    // A file that was there before is nobody's to remove.
    assert!(Path::new(&path).exists());
}

#[test]
fn clients_say_what_is_wrong() {
    let (_dir, [path, name]) = names();
    for client in ["echo_client", "datagram_client"] {
        let says = |args: &[&str], wanted: &str| {
            let message = complaint(&run(client, args));
            let first = message.lines().next().unwrap_or_default();
            assert_eq!(
                first.split_once(": ").expect("who says it").1,
                wanted,
                "{args:?}: {message}"
            );
        };
        let message = complaint(&run(client, &[]));
        assert!(message.starts_with(&format!("{client}: usage: {client} ADDRESS [")), "{message}");
        says(&["x"], "bad address x: text begins with byte 0x78, wanted 0x2f `/` or 0x40 `@`");
        says(&[&path], &format!("cannot connect to {path}: {}", words(libc::ENOENT)));
        says(&[&name], &format!("cannot connect to {name}: {}", words(libc::ECONNREFUSED)));
        let wrong = parse(&path);
        let _listener;
        let _datagram;
        if client == "echo_client" {
            _datagram = UnixDatagram::bind(&wrong).unwrap();
        } else {
            _listener = UnixListener::bind(&wrong).unwrap();
        }
        says(&[&path], &format!("cannot connect to {path}: {}", words(libc::EPROTOTYPE)));
        std::fs::remove_file(&path).unwrap();
    }
    for option in ["--clients", "--messages", "--size", "--wait"] {
        assert_eq!(
            complaint(&run("datagram_client", &[&name, option, "none"])),
            format!("datagram_client: {option} wants a number from 1 to 1000000\n")
        );
    }
}

#[test]
fn echo_client_notices_a_server_that_leaves() {
    let (_dir, [path, _]) = names();
    let listener = UnixListener::bind(&parse(&path)).unwrap();
    // Its input has not ended yet.
    let mut client = Running::start("echo_client", &[&path]);
    drop(listener.accept().unwrap());
    let output = finish_early(&mut client);
    assert_eq!(complaint(&output), "echo_client: the server closed before it had all\n");

    // This server answers less than it got.
    let mut client = Running::start("echo_client", &[&path, "hello"]);
    let (server, _) = listener.accept().unwrap();
    let mut buf = [0; 64];
    assert_eq!(server.read(&mut buf), Ok(6));
    assert_eq!(server.read(&mut buf), Ok(0));
    assert_eq!(server.write(b"hell"), Ok(4));
    drop(server);
    let output = finish_early(&mut client);
    assert_eq!(complaint(&output), "echo_client: sent 6 bytes, 4 came back\n");
    assert_eq!(client.line(), "hell");
}

/// Waits for a program whose input stays open meanwhile.
fn finish_early(running: &mut Running) -> Output {
    let mut child = running.child.take().expect("a child");
    let stdin = child.stdin.take();
    let output = finish(child);
    drop(stdin);
    output
}

#[test]
fn datagram_server_answers_many_clients() {
    let (_dir, addrs) = names();
    for addr in &addrs {
        let server = Running::server("datagram_server", addr, &["--messages", "75"]);
        let clients =
            Running::start("datagram_client", &[addr, "--clients", "25", "--messages", "3"]);
        let wanted: Vec<_> =
            (1..=25).map(|number| format!("client {number}: 3 messages sent, 3 answers")).collect();
        assert_eq!(clients.end(), wanted);

        // Each client's messages came in their order, and all from the one name that is its own.
        let seen = server.end();
        assert_eq!(seen.len(), 75);
        let mut names = std::collections::BTreeSet::new();
        for number in 1..=25 {
            let of_client: Vec<_> = seen
                .iter()
                .filter_map(|line| line.split_once(": "))
                .filter(|(_, text)| text.contains(&format!(" client {number} ")))
                .collect();
            let (name, _) = of_client[0];
            assert_autobound(name);
            assert!(names.insert(name.to_string()), "{name} twice");
            let wanted: Vec<_> = (1..=3)
                .map(|message| format!("client {number} message {message}"))
                .map(|text| (name, format!("{} bytes: {text}", text.len())))
                .collect();
            assert_eq!(
                of_client.iter().map(|(n, t)| (*n, t.to_string())).collect::<Vec<_>>(),
                wanted
            );
        }
        assert!(!Path::new(addr).exists());
    }
}

#[test]
fn datagram_clients_may_have_paths_for_names() {
    let (dir, [path, _]) = names();
    let prefix = dir.join("c").to_str().unwrap().to_string();
    let server = Running::server("datagram_server", &path, &["--messages", "2"]);
    let output = run("datagram_client", &[&path, "--name", &prefix, "--clients", "2"]);
    assert_eq!(
        lines(&output),
        ["client 1: 1 messages sent, 1 answers", "client 2: 1 messages sent, 1 answers"]
    );
    let wanted: Vec<_> =
        (1..=2).map(|n| format!("{prefix}.{n}: 18 bytes: client {n} message 1")).collect();
    assert_eq!(sorted(server.end()), wanted);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    std::fs::write(format!("{prefix}.1"), b"").unwrap();
    let _server = Running::server("datagram_server", &path, &[]);
    assert_eq!(
        complaint(&run("datagram_client", &[&path, "--name", &prefix])),
        format!(
            "client 1: cannot bind to {prefix}.1: {}\n\
             datagram_client: 1 of 1 clients failed\n",
            words(libc::EADDRINUSE)
        )
    );
    assert!(Path::new(&format!("{prefix}.1")).exists());
}

#[test]
fn datagram_server_reports_the_unnamed_and_the_cut() {
    let (_dir, [path, _]) = names();
    let server = Running::server("datagram_server", &path, &["--messages", "3", "--buffer", "10"]);
    let output = run("datagram_client", &[&path, "--unnamed", "--messages", "2"]);
    assert_eq!(lines(&output), ["client 1: 2 messages sent without a name, no answer can come"]);
    let output = run("datagram_client", &[&path, "--size", "1000"]);
    assert_eq!(lines(&output), ["client 1: 1 messages sent, 1 answers, 1 of them cut"]);
    let seen = server.end();
    let unnamed = [
        "<unnamed>: 10 of 18 bytes, the rest is lost: client 1 m",
        "<unnamed>: not answered: the sender has no name",
    ];
    assert_eq!(seen[..4], [unnamed, unnamed].concat());
    let (name, text) = seen[4].split_once(": ").unwrap();
    assert_autobound(name);
    assert_eq!(text, "10 of 1000 bytes, the rest is lost: client 1 m");
    assert_eq!(seen.len(), 5);
}

#[test]
fn datagram_server_is_not_held_up_by_one_client() {
    let (_dir, [path, _]) = names();
    let server = Running::server("datagram_server", &path, &["--messages", "401"]);
    let (idle, name) = UnixDatagram::autobind().unwrap();
    let _watchdog = common::Watchdog::new();
    for _ in 0..400 {
        idle.send_to(b"again", &parse(&path)).unwrap();
    }
    let output = run("datagram_client", &[&path, "--wait", "1"]);
    let seen = server.end();
    assert_eq!(seen.iter().filter(|line| **line == format!("{name}: 5 bytes: again")).count(), 400);
    let full = format!("{name}: not answered: {}", words(libc::EAGAIN));
    assert!(seen.contains(&full), "{seen:#?}");
    // Where the system allows longer queues, what is full is the server's send buffer, which is
    // one for all.
    let queue = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    if queue.trim().parse::<u32>().unwrap() <= 200 {
        assert_eq!(lines(&output), ["client 1: 1 messages sent, 1 answers"]);
        assert!(seen.last().unwrap().ends_with(": 18 bytes: client 1 message 1"));
    }
}

#[test]
fn datagram_clients_do_not_wait_for_ever() {
    let (_dir, [_, name]) = names();
    let _silent = UnixDatagram::bind(&parse(&name)).unwrap();
    // More than the queue of the server takes: some cannot send, the others get no answer.
    let output = run("datagram_client", &[&name, "--clients", "20", "--wait", "1"]);
    let message = complaint(&output);
    assert!(message.ends_with("datagram_client: 20 of 20 clients failed\n"), "{message}");
    let late = words(libc::ETIMEDOUT);
    for (number, line) in (1..=20).zip(message.lines()) {
        let wanted = ["get answer 1", "send message 1"]
            .map(|what| format!("client {number}: cannot {what}: {late}"));
        assert!(wanted.contains(&line.to_string()), "{line}");
    }
    assert!(message.contains("cannot get answer 1"), "{message}");
}

#[test]
fn datagram_client_looks_at_the_answer() {
    let (_dir, [_, name]) = names();
    let server = UnixDatagram::bind(&parse(&name)).unwrap();
    let mut client = Running::start("datagram_client", &[&name]);
    let _watchdog = common::Watchdog::new();
    let (_, from) = server.recv_from(&mut [0; 64]).unwrap();
    server.send_to(b"nonsense", &from).unwrap();
    assert_eq!(
        complaint(&finish_early(&mut client)),
        "client 1: message 1 was answered with nonsense\ndatagram_client: 1 of 1 clients failed\n"
    );
}

#[test]
fn abstract_name_keeps_every_byte() {
    let seen = lines(&run("abstract_name", &[]));
    let pid = between(&seen[0], r"parent: listening on @\x00afunix\x00", r"\x00example\x00, ");
    assert!(pid.parse::<u32>().is_ok(), "{pid}");
    let shorter = format!(r"@\x00afunix\x00{pid}\x00example");
    assert_eq!(
        seen,
        [
            format!(r"parent: listening on {shorter}\x00, {} bytes", 17 + pid.len()),
            format!("child: nobody at {shorter}, one byte less"),
            format!(r"child: connected to {shorter}\x00"),
            "parent: <unnamed> says hello".to_string(),
            "child: the parent says welcome".to_string(),
            "parent: the child ended well".to_string(),
        ]
    );
    assert_eq!(complaint(&run("abstract_name", &["x"])), "abstract_name: usage: abstract_name\n");
}

#[test]
fn socketpair_fork_asks_the_child_and_checks_how_it_ended() {
    for (args, question, answer) in
        [(&[][..], "6 7", "42"), (&["-3", "14"], "-3 14", "-42"), (&["0", "0"], "0 0", "0")]
    {
        assert_eq!(
            lines(&run("socketpair_fork", args)),
            [
                format!("parent: what is the product of {question}?"),
                format!("child: asked for {question}"),
                format!("parent: the child says {answer}"),
                "parent: the child ended with status 0".to_string(),
            ]
        );
    }
    for args in [["3", "pi"], ["", ""], ["9223372036854775807", "2"]] {
        assert_eq!(
            complaint(&run("socketpair_fork", &args)),
            "socketpair_fork: these are no two numbers, or too large ones\n\
             socketpair_fork: the child ended with status 1\n"
        );
    }
    let long = "1".repeat(100);
    assert_eq!(
        complaint(&run("socketpair_fork", &[&long, "1"])),
        "socketpair_fork: a message of 102 bytes is too long\n\
         socketpair_fork: the child ended with status 1\n"
    );
    assert_eq!(
        complaint(&run("socketpair_fork", &["1"])),
        "socketpair_fork: usage: socketpair_fork [NUMBER NUMBER]\n"
    );
}
