//! What the machine has, from the kernel's own tables.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    api::objects::resources::{
        Cards, Core, Cpu, Devices, Disk, Disks, Memory, Resources, Socket, System, Thread,
    },
    error::Result,
    image,
};

/// Where the kernel tells of its disks.
const DISKS: &str = "/sys/class/block";

/// The unit of the sizes there.
const SECTOR_BYTES: u64 = 512;

/// What the machine has.
pub(crate) fn resources() -> Result<Resources> {
    let memory = memory(&fs::read_to_string("/proc/meminfo")?);
    let cpu = cpu(&fs::read_to_string("/proc/cpuinfo")?);
    let disks = disks();
    Ok(Resources {
        cpu,
        memory,
        gpu: Cards::default(),
        network: Cards::default(),
        storage: Disks {
            total: disks.len() as u64,
            disks,
        },
        usb: Devices::default(),
        pci: Devices::default(),
        system: System::default(),
    })
}

/// Reads `/proc/cpuinfo`: paragraphs of `key : value`, one for each thread.
fn cpu(table: &str) -> Cpu {
    let mut sockets: BTreeMap<u64, Socket> = BTreeMap::new();
    let mut total = 0;
    for paragraph in table.split("\n\n") {
        let fields: BTreeMap<_, _> = paragraph
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let number = |key: &str| fields.get(key).and_then(|text| text.parse::<u64>().ok());
        let text = |key: &str| fields.get(key).copied().unwrap_or_default().to_owned();
        let Some(id) = number("processor") else {
            continue;
        };
        total += 1;
        let socket = number("physical id").unwrap_or(0);
        let new = || Socket {
            name: text("model name"),
            vendor: text("vendor_id"),
            socket,
            cores: Vec::new(),
        };
        let core = number("core id").unwrap_or(id);
        add_thread(
            &mut sockets.entry(socket).or_insert_with(new).cores,
            core,
            id,
        );
    }
    let architecture = image::host_architectures()
        .first()
        .copied()
        .unwrap_or_default();
    let sockets = sockets.into_values().collect();
    Cpu {
        architecture: architecture.to_owned(),
        sockets,
        total,
    }
}

fn add_thread(cores: &mut Vec<Core>, core: u64, id: u64) {
    let thread = |thread| Thread {
        id,
        numa_node: 0,
        thread,
        online: true,
        isolated: false,
    };
    match cores.iter_mut().find(|known| known.core == core) {
        Some(known) => known.threads.push(thread(known.threads.len() as u64)),
        None => cores.push(Core {
            core,
            die: 0,
            threads: vec![thread(0)],
        }),
    }
}

/// Reads `/proc/meminfo`: `Key:   number kB`.
fn memory(table: &str) -> Memory {
    let number = |key: &str| {
        let line = table
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let text = line.and_then(|rest| rest.split_whitespace().next());
        text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
    };
    let bytes = |key: &str| number(key).saturating_mul(1024);
    let (total, page_bytes) = (bytes("MemTotal"), bytes("Hugepagesize"));
    let used_pages = number("HugePages_Total").saturating_sub(number("HugePages_Free"));
    Memory {
        nodes: [],
        hugepages_total: number("HugePages_Total").saturating_mul(page_bytes),
        hugepages_used: used_pages.saturating_mul(page_bytes),
        hugepages_size: page_bytes,
        used: total.saturating_sub(bytes("MemAvailable")),
        total,
    }
}

/// Whole disks; partitions and what is made of files are left out.
fn disks() -> Vec<Disk> {
    let Ok(entries) = fs::read_dir(DISKS) else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut disks: Vec<_> = names.filter_map(disk).collect();
    disks.sort_by(|a, b| a.id.cmp(&b.id));
    disks
}

/// `id` comes from the kernel, never from a client.
fn disk(id: String) -> Option<Disk> {
    let directory = Path::new(DISKS).join(&id);
    if !directory.join("device").exists() {
        return None;
    }
    let text = |name: &str| {
        fs::read_to_string(directory.join(name))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let sectors: u64 = text("size").parse().ok()?;
    Some(Disk {
        device: text("dev"),
        read_only: text("ro") == "1",
        size: sectors.saturating_mul(SECTOR_BYTES),
        removable: text("removable") == "1",
        numa_node: 0,
        partitions: [],
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_by_socket_and_core() {
        let table = "processor : 0\nvendor_id : V\nmodel name : M\nphysical id : 0\ncore id : 4\n\n\
                     processor : 1\nphysical id : 0\ncore id : 4\n\nprocessor : 2\nphysical id : 1\n";
        let cpu = cpu(table);
        assert_eq!((cpu.total, cpu.sockets.len()), (3, 2));
        let core = &cpu.sockets[0].cores[0];
        assert_eq!(
            (core.core, core.threads.len(), core.threads[1].thread),
            (4, 2, 1)
        );
        assert_eq!(cpu.sockets[0].name, "M");
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let table = "MemTotal:  100 kB\nMemAvailable:  40 kB\nHugePages_Total: 2\nHugePages_Free: 1\n\
                     Hugepagesize: 2048 kB\n";
        let memory = memory(table);
        assert_eq!((memory.total, memory.used), (102_400, 61_440));
        assert_eq!(memory.hugepages_used, 2048 * 1024);
    }

    #[test]
    fn this_machine_has_resources() {
        let resources = resources().unwrap();
        assert!(resources.cpu.total > 0 && resources.memory.total > 0);
    }
}
