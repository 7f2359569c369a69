//! Names that something has which is no socket: it is told what, and left as it was.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use afunix::{Errno, FileAddr, OwnedFd, SocketFile, UnixListener, UnixStream};
use rustix::fs::FileType;

use crate::common::{TempDir, addr, close, is_root, skip};
use crate::kit::{
    Files, PLAIN, RECLAIMING, REPLACING, bytes, names, next, no_socket, states, ways,
};

for_data!(
    what_is_no_socket_is_told_and_left_as_it_was
    what_is_no_socket_under_the_temporary_name_is_told_and_kept
    removing_leaves_what_has_the_temporary_name
    foreign_file_that_took_the_name_is_not_removed
);

/// A node of any kind; only root may make one of a device.
fn node(path: &Path, mode: libc::mode_t, device: libc::dev_t) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mknod(path.as_ptr(), mode | 0o640, device) }, 0);
}

/// Everything that a name can have but a socket, with what symbolic links lead to; and a server, to which
/// one leads.
fn things(folder: &TempDir) -> (Vec<(&'static str, FileType)>, OwnedFd) {
    let server = UnixListener::bind(&folder.addr("live")).unwrap();
    close(UnixListener::bind(&folder.addr("stale")).unwrap());
    fs::write(folder.join("file"), "somebody's").unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    fs::create_dir(folder.join("full")).unwrap();
    fs::write(folder.join("full/file"), "somebody's").unwrap();
    node(&folder.join("fifo"), libc::S_IFIFO, 0);
    let links = [
        ("dangling", "missing"),
        ("loop", "loop"),
        ("to-live", "live"),
        ("to-stale", "stale"),
        ("to-file", "file"),
        ("to-folder", "folder"),
    ];
    links.iter().for_each(|(name, to)| symlink(to, folder.join(name)).unwrap());
    let mut things = vec![
        ("file", FileType::RegularFile),
        ("empty", FileType::RegularFile),
        ("folder", FileType::Directory),
        ("full", FileType::Directory),
        ("fifo", FileType::Fifo),
    ];
    things.extend(links.map(|(name, _)| (name, FileType::Symlink)));
    if is_root() {
        node(&folder.join("character"), libc::S_IFCHR, libc::makedev(1, 3));
        node(&folder.join("block"), libc::S_IFBLK, libc::makedev(7, 0));
        things.push(("character", FileType::CharacterDevice));
        things.push(("block", FileType::BlockDevice));
    } else {
        skip("only root may make a device");
    }
    (things, server.into())
}

fn what_is_no_socket_is_told_and_left_as_it_was<T: Files>(_: &str) {
    let folder = TempDir::new();
    let (things, server) = things(&folder);
    let before = states(folder.path());
    for (name, kind) in things {
        let path = folder.join(name);
        for (way, set) in ways() {
            let made = T::make(set(SocketFile::options(bytes(&path)).mode(0o600)));
            assert_eq!(no_socket(made), kind, "{way}, {name}");
            assert_eq!(states(folder.path()), before, "{way}, {name}");
        }
    }
    assert_eq!(next(&server).map(drop), Err(Errno::AGAIN));
}

/// It may be given the name that is free, from which it could only have come.
fn what_is_no_socket_under_the_temporary_name_is_told_and_kept<T: Files>(_: &str) {
    let folder = TempDir::new();
    let (name, aside) = (folder.join("name"), folder.join(".name.afunix"));
    fs::write(&aside, "somebody's").unwrap();
    let inode = states(folder.path())[0].numbers;
    for (way, set) in ways() {
        let made = T::make(set(SocketFile::options(bytes(&name))));
        assert_eq!(no_socket(made), FileType::RegularFile, "{way}");
        let [file] = &states(folder.path())[..] else { panic!("{way}: one file") };
        assert!([&name, &aside].contains(&&file.path), "{way}");
        assert_eq!(file.numbers, inode, "{way}");
        assert_eq!(fs::read(&file.path).unwrap(), b"somebody's", "{way}");
        fs::rename(&file.path, &aside).unwrap();
    }
}

fn removing_leaves_what_has_the_temporary_name<T: Files>(_: &str) {
    let folder = TempDir::new();
    let (_socket, file) = T::make(SocketFile::options(bytes(&folder.join("name")))).unwrap();
    let aside = folder.join(".name.afunix");
    for kind in ["file", "folder", "link"] {
        match kind {
            "file" => fs::write(&aside, "somebody's").unwrap(),
            "folder" => fs::create_dir(&aside).unwrap(),
            _ => symlink("name", &aside).unwrap(),
        }
        let before = states(folder.path());
        if kind == "file" {
            assert_eq!(file.remove(), Ok(true));
            assert_eq!(names(folder.path()), [".name.afunix"]);
            assert_eq!(states(folder.path())[..], before[..1]);
        } else {
            // It was removed already.
            assert_eq!(file.remove(), Ok(false));
            assert_eq!(states(folder.path()), before);
        }
        if kind == "folder" { fs::remove_dir(&aside) } else { fs::remove_file(&aside) }.unwrap();
    }
}

fn foreign_file_that_took_the_name_is_not_removed<T: Files>(_: &str) {
    let folder = TempDir::new();
    let (things, _server) = things(&folder);
    for (name, _) in things {
        let path = folder.join("name");
        let options = SocketFile::options(bytes(&path)).remove_on_drop();
        let (_socket, file) = T::make(options).unwrap();
        fs::remove_file(&path).unwrap();
        fs::rename(folder.join(name), &path).unwrap();
        let before = states(folder.path());
        assert_eq!(file.is_in_place(), Ok(false), "{name}");
        assert_eq!(file.remove(), Ok(false), "{name}");
        drop(file);
        assert_eq!(states(folder.path()), before, "{name}");
        fs::rename(&path, folder.join(name)).unwrap();
    }
}

/// Control: to a stream's connect what is no socket looks like a socket that nobody has.
#[test]
fn probe_that_connects_would_call_these_stale() {
    let folder = TempDir::new();
    let (things, _server) = things(&folder);
    let links = ["dangling", "loop", "to-live"];
    for (name, _) in things.into_iter().filter(|(name, _)| !links.contains(name)) {
        let connected = UnixStream::connect(&addr(folder.join(name)));
        assert_eq!(connected.unwrap_err(), Errno::CONNREFUSED, "{name}");
        if name != "to-stale" {
            let opened = FileAddr::open(bytes(&folder.join(name)));
            no_socket(opened);
        }
    }
}

/// The tables of ways have each of the three that differ, so that none is left out above.
#[test]
fn ways_differ() {
    let options = |set: crate::kit::Way| format!("{:?}", set(SocketFile::options(b"name")));
    let all: std::collections::BTreeSet<_> =
        PLAIN.into_iter().chain(RECLAIMING).chain(REPLACING).map(|(_, set)| options(set)).collect();
    assert_eq!(all.len(), 6);
}
