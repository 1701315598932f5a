//! Small deterministic images. The same marker gives the same bytes, another marker others.

use std::{
    io::{Read, Write},
    path::Path,
    process::Command,
};

use super::tar::Tar;

/// When every image here was made: 2020-01-01 00:00:00 UTC.
pub(crate) const CREATED: &str = "2020-01-01T00:00:00Z";

/// The metadata.yaml of an image.
pub(crate) fn metadata(marker: &str) -> String {
    format!(
        "architecture: x86_64\ncreation_date: 1577836800\nproperties:\n  \
         description: image {marker}\n  os: Testix\n"
    )
}

/// A unified container image as a plain tar.
pub(crate) fn container(marker: &str) -> Vec<u8> {
    unified(&metadata(marker))
}

/// A unified container image with this metadata.yaml.
pub(crate) fn unified(metadata: &str) -> Vec<u8> {
    Tar::new()
        .file("metadata.yaml", metadata)
        .directory("rootfs/")
        .file("rootfs/hello", "hello\n")
        .build()
}

/// The metadata half of a split image.
pub(crate) fn metadata_tar(marker: &str) -> Vec<u8> {
    Tar::new().file("metadata.yaml", metadata(marker)).build()
}

/// The root half of a split container image.
pub(crate) fn rootfs_tar(marker: &str) -> Vec<u8> {
    gzip(&Tar::new().directory("./").file("./hello", marker).build())
}

/// A unified container image whose root holds `size_bytes` that do not compress.
pub(crate) fn container_of_size(marker: &str, size_bytes: usize) -> Vec<u8> {
    Tar::new()
        .file("metadata.yaml", metadata(marker))
        .directory("rootfs/")
        .file("rootfs/noise", noise(marker, size_bytes))
        .build()
}

/// Bytes without a pattern, the same for the same seed.
pub(crate) fn noise(seed: &str, size_bytes: usize) -> Vec<u8> {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut bytes = Vec::with_capacity(size_bytes + 8);
    while bytes.len() < size_bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size_bytes);
    bytes
}

/// A disk in qcow2 format, 1 MiB large and empty, with clusters of 512 bytes.
pub(crate) fn qcow2() -> Vec<u8> {
    let mut disk = vec![0; 512 * 6];
    let mut put = |at: usize, bytes: &[u8]| disk[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb\x00\x00\x00\x03");
    put(20, &9_u32.to_be_bytes()); // cluster bits
    put(24, &(1_u64 << 20).to_be_bytes()); // size
    put(36, &32_u32.to_be_bytes()); // entries of the first level table
    put(40, &0x600_u64.to_be_bytes()); // where it is
    put(48, &0x200_u64.to_be_bytes()); // the table of reference counts
    put(56, &1_u32.to_be_bytes()); // its clusters
    put(96, &4_u32.to_be_bytes()); // reference counts of 16 bits
    put(100, &104_u32.to_be_bytes()); // length of the header
    put(0x200, &0x400_u64.to_be_bytes());
    for cluster in 0..4 {
        put(0x400 + cluster * 2, &1_u16.to_be_bytes());
    }
    disk
}

/// A unified virtual machine image as a plain tar.
pub(crate) fn virtual_machine(marker: &str) -> Vec<u8> {
    Tar::new()
        .file("metadata.yaml", metadata(marker))
        .file("rootfs.img", qcow2())
        .build()
}

/// Compressed by gzip.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Compressed by bzip2.
pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Compressed by xz.
pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    read(xz2::read::XzEncoder::new(bytes, 0))
}

/// Compressed in the format before xz.
pub(crate) fn lzma(bytes: &[u8]) -> Vec<u8> {
    let options = xz2::stream::LzmaOptions::new_preset(0).unwrap();
    let stream = xz2::stream::Stream::new_lzma_encoder(&options).unwrap();
    read(xz2::read::XzEncoder::new_stream(bytes, stream))
}

/// Compressed by zstd.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Compressed by lz4, which LXD cannot read.
pub(crate) fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(mut encoder: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A squashfs of these files.
pub(crate) fn squashfs(files: &[(&str, &str)]) -> Vec<u8> {
    squashfs_of(&[], |tree| {
        for (name, content) in files {
            write(tree, name, content);
        }
    })
}

/// A squashfs of what `fill` puts into a directory, made with these options.
pub(crate) fn squashfs_of(options: &[&str], fill: impl FnOnce(&Path)) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    fill(&tree);
    let made = Command::new("mksquashfs")
        .args(["tree", "out", "-quiet", "-no-progress"])
        .args(["-all-time", "0", "-mkfs-time", "0"])
        .args(options)
        .current_dir(&directory)
        .output()
        .expect("this test needs mksquashfs (squashfs-tools)");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    std::fs::read(directory.path().join("out")).unwrap()
}

/// Writes a file, and makes the directories it is in.
pub(crate) fn write(tree: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = tree.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
