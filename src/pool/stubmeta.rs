use super::*;
impl Pool {
    pub(crate) fn metadata(&self, name: &TreeName) -> Result<Option<String>> {
        match fs::read_to_string(self.tree(name)?.join(METADATA)) {
            Ok(t) => Ok(Some(t)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
