//! `#[sim]`: a test that runs in the simulator, once for each seed.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Error, Expr, Item, ItemFn, Result, parse_quote};

pub(crate) fn sim(keys: TokenStream, item: TokenStream) -> TokenStream {
    let written = syn::parse2::<Item>(item).and_then(|item| match item {
        Item::Fn(function) => test(keys, function),
        Item::Mod(module) if keys.is_empty() => Ok(quote! { ::playhouse_sim::__simulated! { #module } }),
        Item::Mod(module) => Err(Error::new_spanned(module.ident, "the seeds stand at each test of the module")),
        other => Err(Error::new_spanned(other, "`#[sim]` stands on an `async fn(world: World)` or on a module of such tests")),
    });
    written.unwrap_or_else(Error::into_compile_error)
}

fn test(keys: TokenStream, function: ItemFn) -> Result<TokenStream> {
    let mut seeds: Expr = parse_quote!(0..10);
    let mut canary = false;
    let read = |meta: ParseNestedMeta<'_>| {
        if meta.path.is_ident("seeds") {
            seeds = meta.value()?.parse()?;
        } else if meta.path.is_ident("canary") {
            canary = true;
        } else {
            return Err(meta.error("a simulated test has no such key; the keys are `seeds = 0..50` and `canary`"));
        }
        Ok(())
    };
    syn::meta::parser(read).parse2(keys)?;
    let signature = &function.sig;
    if signature.asyncness.is_none() || signature.inputs.len() != 1 {
        return Err(Error::new_spanned(signature, "a simulated test is an `async fn` that is given the `World`"));
    }
    let name = &signature.ident;
    // A function and a module may have one name: the one is a value, the other a type.
    Ok(quote! {
        ::playhouse_sim::__simulated! { #function }
        mod #name {
            #[test]
            #[ignore = "it runs in the simulator: cargo playhouse sim"]
            fn simulated() {
                ::playhouse_sim::__simulated! {
                    ::playhouse_sim::test::run(
                        ::core::concat!(::core::module_path!(), "::simulated"),
                        #seeds,
                        #canary,
                        |world| ::std::boxed::Box::pin(super::#name(world)),
                    );
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::sim;
    use quote::quote;

    #[test]
    fn a_test_and_its_module_are_written() {
        let written = sim(
            quote!(seeds = 3..9),
            quote!(
                async fn survives(world: World) {}
            ),
        )
        .to_string();
        assert!(
            written.contains("mod survives") && written.contains("3 .. 9") && written.contains("super :: survives"),
            "{written}"
        );
        let written = sim(
            quote!(),
            quote!(
                mod rehearsal {
                    fn helper() {}
                }
            ),
        )
        .to_string();
        assert!(written.starts_with(":: playhouse_sim :: __simulated"), "{written}");
    }

    #[test]
    fn what_is_no_simulated_test_is_refused_with_what_to_write() {
        let refused = |keys, item| {
            let written = sim(keys, item).to_string();
            assert!(written.contains("compile_error"), "{written}");
            written
        };
        assert!(
            refused(
                quote!(),
                quote!(
                    fn plain(world: World) {}
                )
            )
            .contains("async fn")
        );
        assert!(
            refused(
                quote!(),
                quote!(
                    async fn lonely() {}
                )
            )
            .contains("World")
        );
        assert!(
            refused(
                quote!(seed = 7),
                quote!(
                    async fn one(world: World) {}
                )
            )
            .contains("seeds = 0..50")
        );
        assert!(
            refused(
                quote!(seeds = 0..9),
                quote!(
                    mod many {}
                )
            )
            .contains("at each test")
        );
        assert!(
            refused(
                quote!(),
                quote!(
                    struct World;
                )
            )
            .contains("async fn")
        );
    }
}
