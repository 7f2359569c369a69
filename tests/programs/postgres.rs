//! A PostgreSQL server that asks the kernel who we are: its peer authentication.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use afunix::{Pid, Uid, UnixAddr, UnixStream};

use crate::common::{
    LONG, Nobody, TempDir, Watchdog, addr, assert_success, finish_within, is_root,
    passes_in_child_with, skip, spawn,
};
use crate::identity::{Ids, is_somebody, user};
use crate::tool::{Running, is_there, when_there, write_all};

/// The only role, and the only one that the map lets us be.
const ROLE: &str = "app";

/// Where the programs are: in the `PATH`, or where Debian has them.
fn folder() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    let mut folders = std::env::split_paths(&path).chain(debian);
    let found = folders
        .find(|folder| ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file()));
    if found.is_none() {
        skip("no postgres and initdb");
    }
    found.filter(|folder| is_there(folder.join("postgres").to_str().unwrap(), "--version"))
}

/// A server with a database that is nobody else's.
struct Cluster {
    /// It is there until the cluster ends.
    program: Option<Running>,
    /// Whom it runs as.
    uid: Uid,
    socket: PathBuf,
    _dir: TempDir,
}

impl Cluster {
    /// `None` if that cannot be, and then says why.
    fn start() -> Option<Self> {
        let folder = folder().filter(|_| is_somebody())?;
        let own = Ids::own().effective;
        // It does not run as root.
        let server = if is_root() {
            user(|name, _| name == "postgres").or_else(|| user(|name, _| name == "daemon"))
        } else {
            user(|_, uid| uid == own.0)
        };
        let us = user(|_, uid| uid == own.0);
        let (Some((_, uid, gid)), Some((us, ..))) = (server, us) else {
            skip("the users have no names");
            return None;
        };
        let dir = TempDir::new();
        let (data, run) = (dir.join("data"), dir.join("run"));
        for folder in [&data, &run] {
            std::fs::create_dir(folder).unwrap();
            if is_root() {
                chown(folder, Some(uid), Some(gid)).unwrap();
            }
        }
        let command = |program: &str| {
            let mut command = Command::new(folder.join(program));
            command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir("/");
            if is_root() {
                command.uid(uid).gid(gid);
            }
            command.arg("-D").arg(&data);
            command
        };
        let mut init = command("initdb");
        init.args(["--no-sync", "--auth=reject", "--username", ROLE]);
        init.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        assert_success(&finish_within(LONG, spawn(&mut init).unwrap()));
        std::fs::write(data.join("pg_hba.conf"), "local all all peer map=ours\n").unwrap();
        std::fs::write(data.join("pg_ident.conf"), format!("ours {us} {ROLE}\n")).unwrap();

        let mut server = command("postgres");
        let socket = format!("unix_socket_directories={}", run.to_str().unwrap());
        // Whom it refuses it need not log.
        let settings =
            ["listen_addresses=", "port=5432", "fsync=off", "log_min_messages=panic", &socket];
        for setting in settings {
            server.args(["-c", setting]);
        }
        let program = Some(Running::start(&mut server, Vec::new()));
        Some(Self {
            program,
            uid: Uid::from_raw(uid),
            socket: run.join(".s.PGSQL.5432"),
            _dir: dir,
        })
    }

    fn pid(&self) -> u32 {
        self.program.as_ref().expect("a server").pid()
    }

    /// Ends it, which must go well, without a word.
    fn end(mut self) {
        assert_eq!(self.program.take().expect("a server").interrupt(), b"");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The test has failed. One that is killed would leave shared memory behind.
        if let Some(program) = self.program.take() {
            // Nor may it panic now.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.interrupt()));
        }
    }
}

/// What the server says to a startup message.
#[derive(Debug, Eq, PartialEq)]
enum Answer {
    /// We are let in, and served by the process of this number.
    Welcome(u32),
    /// We are not: the code, and the words.
    Refused(String, String),
}

fn read_exact<const N: usize>(stream: &UnixStream) -> [u8; N] {
    let mut bytes = [0; N];
    let mut count = 0;
    while count < N {
        match stream.read(&mut bytes[count..]).unwrap() {
            0 => panic!("the end after {count} bytes of {N}"),
            more => count += more,
        }
    }
    bytes
}

/// A message: what it is, and the rest.
fn message(stream: &UnixStream) -> (u8, Vec<u8>) {
    let [kind] = read_exact(stream);
    let len = u32::from_be_bytes(read_exact(stream)) - 4;
    (kind, (0..len).map(|_| read_exact::<1>(stream)[0]).collect())
}

/// A field of an error.
fn field(error: &[u8], kind: u8) -> String {
    let fields = error.split(|byte| *byte == 0);
    let found = fields.into_iter().find_map(|field| field.strip_prefix(&[kind]));
    String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
}

/// Asks to be this role, by version 3.0 of the protocol.
fn ask(stream: &UnixStream, role: &str) -> Answer {
    stream.set_read_timeout(Some(LONG / 2)).unwrap();
    let words = format!("user\0{role}\0database\0postgres\0\0");
    let len = u32::try_from(words.len()).unwrap() + 8;
    let version: u32 = 3 << 16;
    write_all(stream, &[&len.to_be_bytes()[..], &version.to_be_bytes(), words.as_bytes()].concat());
    let (mut is_welcome, mut backend) = (false, 0);
    loop {
        match message(stream) {
            (b'R', body) => {
                // Without a password, or anything else to be asked for.
                assert_eq!(body, 0_u32.to_be_bytes());
                is_welcome = true;
            }
            (b'K', body) => backend = u32::from_be_bytes(body[..4].try_into().unwrap()),
            (b'Z', _) => {
                assert!(is_welcome);
                write_all(stream, b"X\0\0\0\x04");
                return Answer::Welcome(backend);
            }
            (b'E', body) => {
                assert!(!is_welcome || field(&body, b'C') == STARTING, "{body:?}");
                return Answer::Refused(field(&body, b'C'), field(&body, b'M'));
            }
            // Parameters, and notices.
            (b'S' | b'N', _) => {}
            (kind, body) => panic!("{}: {body:?}", char::from(kind)),
        }
    }
}

/// The code of a server that has just been started.
const STARTING: &str = "57P03";

/// Connects, if that is the server that it should be, and asks.
fn asks(socket: &UnixAddr, server: Uid, role: &str) -> Answer {
    let start = Instant::now();
    loop {
        let stream = when_there(|| UnixStream::connect(socket));
        // Before a word is said to whoever is there.
        stream.peer_credentials().unwrap().require_user(server).unwrap();
        match ask(&stream, role) {
            Answer::Refused(code, _) if code == STARTING && start.elapsed() < LONG / 2 => {}
            answer => return answer,
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// As asked for by a user whom the map does not let be the role.
fn refused(role: &str) -> Answer {
    let words = format!("Peer authentication failed for user \"{role}\"");
    Answer::Refused("28000".to_owned(), words)
}

/// The part of those whom root can be, in a process of its own.
fn others_ask(socket: &OsStr, server: &OsStr) {
    let socket = addr(Path::new(socket));
    let server = Uid::from_raw(server.to_str().unwrap().parse().unwrap());
    // It must have a name.
    let (nobody, root) = ((Nobody::UID, Nobody::UID), (0, 0));
    for (real, effective, is_welcome) in
        [(nobody, nobody, false), (root, nobody, false), (nobody, root, true)]
    {
        let ids = Ids { real, effective };
        let answer = ids.during(|| asks(&socket, server, ROLE));
        // The effective user decides, on both sides.
        if is_welcome {
            assert!(matches!(answer, Answer::Welcome(_)), "{ids:?}: {answer:?}");
        } else {
            assert_eq!(answer, refused(ROLE), "{ids:?}");
        }
    }
}

#[test]
fn postgres_lets_our_user_in_and_nobody_else() {
    const SOCKET: &str = "AFUNIX_TEST_POSTGRES_SOCKET";
    const SERVER: &str = "AFUNIX_TEST_POSTGRES_USER";
    let test = "postgres::postgres_lets_our_user_in_and_nobody_else";
    if let Some((socket, server)) = std::env::var_os(SOCKET).zip(std::env::var_os(SERVER)) {
        return passes_in_child_with(test, |_| (), || others_ask(&socket, &server));
    }
    let Some(cluster) = Cluster::start() else { return };
    let _watchdog = Watchdog::new();
    let socket = addr(&cluster.socket);
    let answer = asks(&socket, cluster.uid, ROLE);
    let Answer::Welcome(backend) = answer else { panic!("{answer:?}") };

    // The server is who listens, not who serves.
    let stream = UnixStream::connect(&socket).unwrap();
    let peer = stream.peer_credentials().unwrap();
    let pid = cluster.pid();
    peer.require_process(Pid::from_raw(pid.cast_signed()).unwrap()).unwrap();
    assert_ne!(backend, pid);
    drop(stream);

    // By the map our user is this role, and no other.
    assert_eq!(asks(&socket, cluster.uid, "other"), refused("other"));
    if is_root() {
        // Neither is the server somebody with our rights.
        peer.require_root().unwrap_err();
        peer.require_same_user().unwrap_err();
        let prepare = |command: &mut Command| {
            command.env(SOCKET, &cluster.socket).env(SERVER, cluster.uid.as_raw().to_string());
        };
        passes_in_child_with(test, prepare, || ());
    } else {
        skip("only root may be somebody else");
    }
    cluster.end();
}
