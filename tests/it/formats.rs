//! Archives as the programs make them that people pack images with.

use crate::support::{
    Lximaged, beyond_lxd, image_api::fingerprint_of, images, multipart::Multipart, packed::packed,
    packed::unpacked,
};

/// Imports what each script packs; all have to be container images.
#[track_caller]
fn containers(scripts: &[&str]) {
    let daemon = Lximaged::start();
    for script in scripts {
        let operation = daemon.import_with(&packed(script), &[]);
        assert_eq!(operation["status"], "Success", "{script}: {operation}");
        let image = daemon.image(&fingerprint_of(&operation));
        assert_eq!(image["type"], "container", "{script}");
        assert_eq!(image["properties"]["os"], "Testix", "{script}");
    }
}

/// The same where only lximaged takes them.
#[track_caller]
fn containers_beyond_lxd(reason: &str, scripts: &[&str]) {
    if beyond_lxd(reason) {
        containers(scripts);
    }
}

#[test]
fn gnu_tar_in_every_format() {
    containers(&[
        "tar --format=oldgnu -cf ../out *",
        "tar --format=gnu -cf ../out *",
        "tar --format=ustar -cf ../out *",
        "tar --format=posix -cf ../out *",
        "tar --format=gnu -cf ../out --blocking-factor=1 .",
        "tar --format=posix -cf ../out --blocking-factor=1 .",
        "tar --format=posix --xattrs --acls --selinux -cf ../out .",
        "tar --format=posix --pax-option=comment=hello -cf ../out .",
        "tar --format=posix --pax-option=exthdr.name=%d/x/%f,delete=atime -cf ../out .",
        "tar --numeric-owner --owner=:3000000 --group=:3000000 -cf ../out .",
        "tar --format=posix --owner=:3000000 --group=:3000000 -cf ../out .",
        "tar --mtime=1960-01-01 -cf ../out .",
        "tar --format=posix --mtime=1960-01-01 -cf ../out .",
    ]);
}

#[test]
fn gnu_tar_in_the_format_before_posix() {
    containers_beyond_lxd(
        "it does not know the format",
        &["tar --format=v7 -cf ../out *"],
    );
}

#[test]
fn extended_attributes_and_acls_are_no_matter() {
    containers(&[
        "python3 -c '
import os
os.setxattr(\"rootfs/etc\", \"user.lxi\", b\"12 path=x\\n\")'
         tar --format=posix --xattrs --xattrs-include='*' -cf ../out .",
        "python3 -c '
import os
os.setxattr(\"rootfs/etc\", \"user.lxi\", b\"12 path=x\\n\")'
         bsdtar --format pax --xattrs -cf ../out .",
    ]);
}

#[test]
fn names_longer_than_a_header_holds() {
    let deep = "d=rootfs/$(printf 'd%.0s' $(seq 90)); deep=$d/$d/$d; mkdir -p $deep
                echo >$deep/file; ln -s $deep/file rootfs/long";
    let pack = [
        "tar --format=gnu -cf ../out .",
        "tar --format=oldgnu -cf ../out .",
        "tar --format=posix -cf ../out .",
        "bsdtar --format pax -cf ../out .",
        "bsdtar --format gnutar -cf ../out .",
    ];
    let scripts: Vec<_> = pack
        .iter()
        .map(|pack| format!("{deep}\n{pack}"))
        .chain([
            "mkdir -p rootfs/$(printf 'd%.0s' $(seq 90))/$(printf 'e%.0s' $(seq 90))
             tar --format=ustar -cf ../out *"
                .to_owned(),
        ])
        .collect();
    containers(&scripts.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn bsdtar_in_every_tar_format() {
    containers(&[
        "bsdtar --format ustar -cf ../out .",
        "bsdtar --format pax -cf ../out .",
        "bsdtar --format gnutar -cf ../out .",
        "bsdtar --format ustar -cf ../out *",
    ]);
}

#[test]
fn python_in_every_format() {
    let pack = |format: &str| {
        format!(
            "python3 -c '
import tarfile
with tarfile.open(\"../out\", \"w\", format=tarfile.{format}) as archive:
    archive.add(\".\")
'"
        )
    };
    let scripts = ["USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"].map(pack);
    containers(&scripts.each_ref().map(String::as_str));
}

#[test]
fn what_is_no_tar_is_refused() {
    let daemon = Lximaged::start();
    for format in [
        "cpio", "newc", "zip", "7zip", "iso9660", "shar", "xar", "mtree",
    ] {
        let archive = packed(&format!("bsdtar --format {format} -cf ../out ."));
        let text = daemon.refuses(&archive);
        assert_eq!(text, "Unsupported compression", "{format}");
    }
}

#[test]
fn files_with_holes() {
    let holes = "truncate -s 300K rootfs/holes
                 for at in 0 11 40 77 200 299; do
                     echo data | dd of=rootfs/holes bs=1K seek=$at conv=notrunc status=none
                 done";
    let scripts = [
        "tar --format=gnu --sparse -cf ../out .",
        "tar --format=oldgnu --sparse -cf ../out .",
        "tar --format=posix --sparse --sparse-version=0.0 -cf ../out .",
        "tar --format=posix --sparse --sparse-version=0.1 -cf ../out .",
        "tar --format=posix --sparse --sparse-version=1.0 -cf ../out .",
        "bsdtar --format pax --read-sparse -cf ../out .",
    ]
    .map(|pack| format!("{holes}\n{pack}"));
    containers(&scripts.each_ref().map(String::as_str));
}

/// How archives hold files with holes.
const SPARSE: &[&str] = &[
    "--format=gnu --sparse",
    "--format=posix --sparse --sparse-version=0.0",
    "--format=posix --sparse --sparse-version=0.1",
    "--format=posix --sparse --sparse-version=1.0",
];

/// Packs a disk with a large hole behind these bytes at its beginning.
fn sparse_disk(beginning: &[u8], way: &str) -> Vec<u8> {
    let digits = hex::encode(beginning);
    packed(&format!(
        "rm -r rootfs; python3 -c '
with open(\"rootfs.img\", \"wb\") as disk:
    disk.write(bytes.fromhex(\"{digits}\"))
    disk.truncate(1 << 20)
'
         tar {way} -cf ../out metadata.yaml rootfs.img"
    ))
}

#[test]
fn a_disk_with_holes_makes_a_virtual_machine() {
    let daemon = Lximaged::start();
    for way in SPARSE {
        for beginning in [&images::qcow2()[..], b"", b"raw"] {
            let image = daemon.import(&sparse_disk(beginning, way));
            assert_eq!(daemon.image(&image)["type"], "virtual-machine", "{way}");
            daemon.remove_image(&image);
        }
    }
}

#[test]
fn holes_do_not_hide_that_a_disk_names_a_file_of_the_host() {
    if !beyond_lxd("it looks at disks when an instance is made") {
        return;
    }
    let daemon = Lximaged::start();
    let mut disk = images::qcow2();
    disk[15] = 104;
    disk[19] = 4;
    disk[104..108].copy_from_slice(b"/etc");
    for way in SPARSE {
        let text = daemon.refuses(&sparse_disk(&disk, way));
        assert!(text.contains("backing file"), "{way}: {text}");
    }
}

#[test]
fn metadata_may_come_last() {
    containers(&[
        "tar -cf ../out rootfs metadata.yaml",
        "tar -cf ../out ./rootfs ./metadata.yaml",
        "head -c 3000000 /dev/urandom >rootfs/noise; tar -cJf ../out rootfs metadata.yaml",
        "head -c 3000000 /dev/urandom >rootfs/noise; tar -czf ../out rootfs metadata.yaml",
    ]);
    let daemon = Lximaged::start();
    let archive = packed(
        "head -c 3000000 /dev/urandom >rootfs.img
         tar -czf ../out rootfs.img metadata.yaml",
    );
    let image = daemon.import(&archive);
    assert_eq!(daemon.image(&image)["type"], "virtual-machine");
}

#[test]
fn gzip_in_one_member_or_several() {
    containers(&[
        "tar -cf - . | gzip -1 >../out",
        "tar -cf - . | gzip -9n >../out",
        "tar -cf ../tar . && split -b 3000 ../tar ../part && gzip ../part* && cat ../part*.gz >../out",
        "head -c 500000 /dev/urandom >rootfs/noise; tar -cf - . | pigz -p2 -b128 >../out",
        "head -c 500000 /dev/urandom >rootfs/noise; tar -cf - . | pigz -p2 -b128 -i >../out",
        "tar -cf - . | pigz -C hello >../out",
        "tar -cf ../tar . && gzip -c </dev/null >../out && gzip -c ../tar >>../out",
    ]);
}

#[test]
fn bzip2_in_one_stream_or_several() {
    containers(&[
        "tar -cjf ../out .",
        "tar -cf ../tar . && split -b 3000 ../tar ../part && bzip2 ../part* && cat ../part*.bz2 >../out",
    ]);
}

#[test]
fn xz_in_one_stream_or_several() {
    containers(&[
        "tar -cJf ../out .",
        "tar -cf - . | xz --block-size=3000 >../out",
        "tar -cf - . | xz -T2 --block-size=3000 --check=none >../out",
        "tar -cf - . | xz -9e --check=sha256 >../out",
        "tar -cf - . | xz --x86 --delta=dist=4 --lzma2 >../out",
        "tar -cf ../tar . && split -b 3000 ../tar ../part && xz ../part* && cat ../part*.xz >../out",
        "tar -cJf ../out . && printf '\\0\\0\\0\\0' >>../out",
    ]);
}

#[test]
fn lzma_with_and_without_its_length() {
    containers(&[
        "tar --lzma -cf ../out .",
        "tar -cf - . | xz --format=lzma -9 >../out",
    ]);
}

#[test]
fn zstd_in_one_frame_or_several() {
    containers(&[
        "tar -cf - . | zstd -q >../out",
        "tar -cf ../tar . && zstd -q -19 --no-check ../tar -o ../out",
        "tar -cf - . | zstd -q --long=27 >../out",
        "tar -cf ../tar . && split -b 3000 ../tar ../part && zstd -q ../part* && cat ../part*.zst >../out",
        "tar -cf ../tar . && split -b 5000 ../tar ../part && zstd -q ../part*
         { cat ../partaa.zst; printf '\\x50\\x2a\\x4d\\x18\\x04\\0\\0\\0skip'; cat ../parta[b-z].zst; } >../out",
    ]);
}

#[test]
fn lz4_in_one_frame_or_several() {
    containers_beyond_lxd(
        "it does not know the format",
        &[
            "tar -cf - . | lz4 -q >../out",
            "tar -cf - . | lz4 -q -9 -BD --content-size >../out",
            "tar -cf - . | lz4 -q -B4 -BX --no-frame-crc >../out",
            "tar -cf ../tar . && split -b 3000 ../tar ../part && lz4 -qm ../part* && cat ../part*.lz4 >../out",
        ],
    );
}

#[test]
fn what_follows_the_end_of_an_archive_does_not_matter() {
    containers(&[
        "tar -cf ../out . && head -c 512 /dev/urandom >>../out",
        "tar -cf ../out . && echo trailing >>../out",
        "tar -czf ../out . && echo trailing >>../out",
        "tar -cjf ../out . && echo trailing >>../out",
        "tar -cJf ../out . && echo trailing >>../out",
        "tar -cf - . | zstd -q >../out && echo trailing >>../out",
        "tar -cf ../tar . && cat ../tar ../tar >../out",
        "tar -cf ../tar . && cat ../tar ../tar | gzip >../out",
    ]);
}

#[test]
fn an_archive_may_end_without_blocks_of_zeros() {
    containers(&[
        "tar -b1 -cf ../tar . && head -c -1024 ../tar >../out",
        "tar -b1 -cf ../tar . && head -c -512 ../tar >../out",
    ]);
}

#[test]
fn a_split_image_takes_metadata_from_every_program() {
    let daemon = Lximaged::start();
    for (index, pack) in [
        "tar --format=gnu -cJf ../out metadata.yaml",
        "tar --format=posix -czf ../out ./metadata.yaml",
        "bsdtar --format pax -cjf ../out metadata.yaml",
        "mkdir templates; echo >templates/a; tar -cf - --exclude=./rootfs . | zstd -q >../out",
    ]
    .iter()
    .enumerate()
    {
        for root in ["rootfs", "rootfs.img"] {
            let content = format!("{index} {root}");
            let operation =
                daemon.import_parts(&Multipart::split(&packed(pack), root, content.as_bytes()));
            assert_eq!(operation["status"], "Success", "{pack} {root}: {operation}");
        }
    }
}

#[test]
fn lxc_imports_a_directory() {
    let daemon = Lximaged::start();
    let directory = daemon.home().join("image");
    unpacked(&directory, "a");
    std::fs::create_dir(directory.join("templates")).unwrap();
    std::fs::write(directory.join("templates/a.tpl"), "{{ x }}").unwrap();
    daemon.lxc(&["image", "import", "image", "--alias", "a"]);
    let shown = daemon.lxc(&["image", "info", "a"]);
    assert!(shown.contains("Type: container"), "{shown}");
    assert!(shown.contains("os: Testix"), "{shown}");
}

#[test]
fn lxc_imports_a_directory_with_a_link_in_place_of_templates_in_vain() {
    if !beyond_lxd("it takes it") {
        return;
    }
    let daemon = Lximaged::start();
    let directory = daemon.home().join("image");
    unpacked(&directory, "a");
    std::os::unix::fs::symlink("/etc", directory.join("templates")).unwrap();
    let said = daemon.lxc_fails(&["image", "import", "image"]);
    assert!(said.contains("link in place of \"templates\""), "{said}");
}
