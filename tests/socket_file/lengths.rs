//! Paths of every length, from the folder's own to the longest that the kernel takes, and last parts of
//! 1 to 255 bytes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use afunix::{
    AsFd, Errno, FileAddr, SocketFile, SocketFileError, Step, UnixAddr, UnixDatagram, UnixStream,
};

use crate::common::{TempDir, close};
use crate::kit::{
    Files, RECLAIMING, REPLACING, arrives, by_kernel, bytes, message, names, nothing_came, states,
    too_long, ways,
};

for_data!(
    path_of_any_length_is_made_reached_reclaimed_replaced_and_removed
    path_of_4096_bytes_is_too_long_and_nothing_is_made
    last_part_has_1_to_255_bytes
    temporary_name_is_readable_up_to_60_bytes_and_then_has_a_hash
    long_names_that_begin_alike_do_not_meet
);

/// Of them 108 is the longest address, 4095 the longest path.
const LENGTHS: [usize; 8] = [107, 108, 109, 110, 300, 4000, 4094, 4095];

/// A path that is so long, in folders below this one, which are made; its last part is of `last` bytes.
pub fn deep(folder: &Path, len: usize, last: usize) -> PathBuf {
    let mut path = folder.as_os_str().as_bytes().to_vec();
    let mut rest = len.checked_sub(path.len() + 1 + last).expect("a path that long");
    assert_ne!(rest, 1, "a part has a slash and a byte");
    while rest > 0 {
        let part = rest.min(201);
        let part = if rest - part == 1 { part - 1 } else { part };
        path.push(b'/');
        path.extend(std::iter::repeat_n(b'd', part - 1));
        rest -= part;
    }
    let mut path = PathBuf::from(std::ffi::OsStr::from_bytes(&path));
    // From the working directory it is used without the dot, and so may be two bytes longer.
    fs::create_dir_all(path.strip_prefix(".").unwrap_or(&path)).unwrap();
    path.push("n".repeat(last));
    assert_eq!(path.as_os_str().len(), len);
    path
}

/// Every way to reach the file leads to this server.
#[track_caller]
fn is_reached<T: Files>(path: &Path, server: &afunix::OwnedFd) {
    arrives(&T::connect_path(bytes(path)).unwrap(), server);
    let dir = crate::kit::open(path.parent().unwrap(), rustix::fs::OFlags::PATH);
    let name = path.file_name().unwrap().as_bytes();
    for target in [FileAddr::open(bytes(path)), FileAddr::open_at(dir.as_fd(), name)] {
        let (target, client) = (target.unwrap(), T::unbound().unwrap());
        client.connect_to(target.addr()).unwrap();
        arrives(&client, server);
        if T::TYPE == libc::SOCK_DGRAM {
            let sender = UnixDatagram::unbound().unwrap();
            assert_eq!(sender.send_to(b"sent", target.addr()), Ok(4));
            assert_eq!(message(server).as_deref(), Ok(&b"sent"[..]));
        }
    }
    let plain = UnixAddr::from_pathname(bytes(path));
    assert_eq!(plain.is_ok(), path.as_os_str().len() <= 108);
    if let Ok(plain) = plain {
        let client = T::unbound().unwrap();
        client.connect_to(&plain).unwrap();
        arrives(&client, server);
    }
}

fn path_of_any_length_is_made_reached_reclaimed_replaced_and_removed<T: Files>(_: &str) {
    for len in LENGTHS {
        let folder = TempDir::new();
        let path = deep(folder.path(), len, 7);
        let parent = path.parent().unwrap();
        for (way, set) in ways() {
            let options = SocketFile::options(bytes(&path)).mode(0o600);
            let (server, file) = T::make(set(options)).unwrap();
            assert_eq!(names(parent), ["nnnnnnn"], "{way}, {len}");
            assert_eq!(file.name(), b"nnnnnnn");
            assert_eq!(file.addr().copied(), UnixAddr::from_pathname(bytes(&path)).ok());
            assert_eq!(file.is_in_place(), Ok(true));
            assert_eq!(states(parent)[0].numbers[1] & 0o7777, 0o600);
            is_reached::<T>(&path, &server);

            assert_eq!(T::make(options).map(drop), Err(SocketFileError::InUse));
            let reclaiming = RECLAIMING[0].1(options);
            assert_eq!(T::make(reclaiming).map(drop), Err(SocketFileError::InUse));
            let (second, second_file) = T::make(REPLACING[0].1(options)).unwrap();
            is_reached::<T>(&path, &second);
            nothing_came::<T>(&server);
            assert_eq!(file.remove(), Ok(false), "{way}, {len}");
            close((second, second_file));
            let (third, file) = T::make(reclaiming).unwrap();
            is_reached::<T>(&path, &third);
            assert_eq!(file.remove(), Ok(true), "{way}, {len}");
            assert_eq!(states(parent), [], "{way}, {len}");
            let gone = T::connect_path(bytes(&path)).map(drop).unwrap_err();
            assert_eq!(gone.errno(), Errno::NOENT, "{way}, {len}");
        }
    }
}

/// What the kernel reports is what it was bound to: the path, if that fits and was bound to at once; the
/// temporary name's path, if that fits; else one through a descriptor.
#[test]
fn address_of_the_file_is_its_path_and_the_kernels_may_be_another() {
    let folder = TempDir::new();
    for (len, ready, expected) in [
        (100, false, "/nnnnnnn"),
        (108, false, "/nnnnnnn"),
        (109, false, "/proc/thread-self/fd/"),
        (90, true, "/.nnnnnnn.afunix"),
        (100, true, "/.nnnnnnn.afunix"),
        (101, true, "/proc/thread-self/fd/"),
        (109, true, "/proc/thread-self/fd/"),
        (4095, true, "/proc/thread-self/fd/"),
    ] {
        let path = deep(folder.path(), len, 7);
        let options = SocketFile::options(bytes(&path));
        let options = if ready { options.publish_ready() } else { options };
        let (listener, file) = options.listener().unwrap();
        let reported = listener.local_addr().unwrap();
        let text = reported.to_string();
        assert!(text.starts_with(expected) || text.ends_with(expected), "{len}: {text}");
        assert_eq!(file.addr() == Some(&reported), !ready && len <= 108, "{len}");
        assert_eq!(file.addr().is_some(), len <= 108, "{len}");
        let client = UnixStream::connect_path(bytes(&path)).unwrap();
        assert_eq!(client.peer_addr(), Ok(reported));
        assert_eq!(file.remove(), Ok(true));
    }
}

fn path_of_4096_bytes_is_too_long_and_nothing_is_made<T: Files>(_: &str) {
    let folder = TempDir::new();
    let path = deep(folder.path(), 4095, 7);
    let parent = path.parent().unwrap();
    let mut longer = bytes(&path).to_vec();
    longer.push(b'n');
    for len in [4096, 4097, 100_000] {
        longer.resize(len, b'n');
        for (way, set) in ways() {
            let made = T::make(set(SocketFile::options(&longer)));
            assert_eq!(too_long(made), (len, 4095), "{way}");
        }
        let opened = FileAddr::open(&longer);
        assert_eq!(too_long(opened), (len, 4095));
        let connected = T::connect_path(&longer);
        assert_eq!(too_long(connected), (len, 4095));
    }
    assert_eq!(states(parent), []);
}

fn last_part_has_1_to_255_bytes<T: Files>(_: &str) {
    let folder = TempDir::new();
    for len in 1..=255 {
        let path = folder.join("n".repeat(len));
        for (way, set) in ways() {
            // One of each for most: the lengths matter where the names change.
            if !matches!(len, 1 | 59..=70 | 106..=109 | 250..) && (len + way.len()) % 3 != 0 {
                continue;
            }
            let (server, file) = T::make(set(SocketFile::options(bytes(&path)))).unwrap();
            assert_eq!(file.name().len(), len);
            arrives(&T::connect_path(bytes(&path)).unwrap(), &server);
            assert_eq!(file.remove(), Ok(true), "{way}, {len}");
        }
    }
    let path = folder.join("n".repeat(256));
    for (way, set) in ways() {
        let made = T::make(set(SocketFile::options(bytes(&path))));
        assert_eq!(too_long(made), (256, 255), "{way}");
    }
    let opened = FileAddr::open(bytes(&path));
    assert_eq!(by_kernel(opened), (Step::Look, Errno::NAMETOOLONG));
    let connected = T::connect_path(bytes(&path));
    assert_eq!(by_kernel(connected), (Step::Look, Errno::NAMETOOLONG));
    assert_eq!(states(folder.path()), []);
}

/// The name that the file had before, as the kernel goes on to report it.
pub fn temporary<T: Files>(folder: &TempDir, name: &str) -> String {
    let path = folder.join(name);
    let (server, file) = T::make(SocketFile::options(bytes(&path)).publish_ready()).unwrap();
    let reported = UnixDatagram::from_fd_unchecked(server).local_addr().unwrap().to_string();
    assert_eq!(file.remove(), Ok(true));
    reported.rsplit('/').next().unwrap().to_owned()
}

fn temporary_name_is_readable_up_to_60_bytes_and_then_has_a_hash<T: Files>(_: &str) {
    let folder = TempDir::new();
    for len in [1, 2, 59, 60] {
        let name = "n".repeat(len);
        assert_eq!(temporary::<T>(&folder, &name), format!(".{name}.afunix"));
    }
    for len in [61, 62, 107, 108, 254, 255] {
        let found = temporary::<T>(&folder, &"n".repeat(len));
        let hash = found.strip_prefix(&format!(".{}~", "n".repeat(32)));
        let hash = hash.and_then(|rest| rest.strip_suffix(".afunix")).expect(&found);
        assert!(u64::from_str_radix(hash, 16).is_ok(), "{found}");
        // The same each time, so that what is left over is found again.
        assert_eq!(temporary::<T>(&folder, &"n".repeat(len)), found);
    }
}

fn long_names_that_begin_alike_do_not_meet<T: Files>(_: &str) {
    let folder = TempDir::new();
    let pair = ["a", "b"].map(|end| format!("{}{end}", "n".repeat(200)));
    let [first, second] = pair.each_ref().map(|name| temporary::<T>(&folder, name));
    assert_ne!(first, second);
    let [first, second] = pair.map(|name| folder.join(name));
    // One that is left over at the first's temporary name does not get in the way of the second's.
    let made = [&first, &second].map(|path| {
        let options = SocketFile::options(bytes(path)).replace();
        T::make(options).unwrap()
    });
    for ((server, file), path) in made.iter().zip([&first, &second]) {
        arrives(&T::connect_path(bytes(path)).unwrap(), server);
        assert_eq!(file.remove(), Ok(true));
    }
    assert_eq!(states(folder.path()), []);
}
