//! How values are computed, where the operator says so: the variable `CVV2_KERNEL`.

use std::env;

use cvv2::Kernel;

use crate::failure::Failure;

/// The variable.
pub(crate) const VARIABLE: &str = "CVV2_KERNEL";

/// The kernel that the variable names, or the fastest one.
///
/// For machines whose processor errs in one way of computing, and for comparisons. A name that this
/// machine has no kernel for is refused: whoever sets one wants that one.
pub(crate) fn chosen() -> Result<Kernel, Failure> {
    named(env::var_os(VARIABLE).as_deref().map(|name| name.to_str().unwrap_or("?")))
}

fn named(name: Option<&str>) -> Result<Kernel, Failure> {
    match name {
        None | Some("") => Ok(Kernel::detect()),
        Some(name) => Kernel::by_name(name).ok_or_else(|| {
            let names: Vec<&str> = Kernel::all().map(Kernel::name).collect();
            let names = names.join(", ");
            Failure::BadInput(format!(
                "{VARIABLE}: this machine can compute with {names}; give one"
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_its_name_and_others_are_refused() {
        for kernel in Kernel::all() {
            assert_eq!(named(Some(kernel.name())).unwrap(), kernel);
        }
        assert_eq!(named(None).unwrap(), Kernel::detect());
        assert_eq!(named(Some("")).unwrap(), Kernel::detect());
        let refusal = format!("{:?}", named(Some("4123456789012345")).unwrap_err());
        assert!(refusal.contains("reference, portable") && !refusal.contains("4123"), "{refusal}");
    }
}
