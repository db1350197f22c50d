//! Types and signatures, as far as a macro can know them: by how they are written.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, GenericArgument, PathArguments, ReturnType, Signature, Type, TypeReference};

/// What a method gives.
pub(crate) enum Answer {
    /// The answer.
    Now(Type),
    /// Something that gives it later.
    Later { answer: Type, response: Box<Type> },
    /// Something that gives many, one by one.
    Many { item: Type, response: Box<Type> },
}

/// Reads a return type.
pub(crate) fn answer(output: &ReturnType) -> syn::Result<Answer> {
    let ty = match output {
        ReturnType::Default => return Ok(Answer::Now(syn::parse_quote!(()))),
        ReturnType::Type(_, ty) => ty,
    };
    match &**ty {
        Type::Reference(reference) if !is_static(reference) => {
            return Err(Error::new_spanned(ty, "an answer leaves the actor, so it cannot borrow from it; return an owned value"));
        }
        Type::ImplTrait(_) => {
            return Err(Error::new_spanned(
                ty,
                "an answer is one type that can be named; for one that comes later return `Later<T>`",
            ));
        }
        _ => {}
    }
    let later = match last_segment(ty) {
        Some((name, arguments)) if name == "Streamed" => {
            let Some(item) = arguments.first().cloned() else {
                return Err(Error::new_spanned(ty, "write what the stream is of: `Streamed<T>`"));
            };
            return Ok(Answer::Many { item, response: ty.clone() });
        }
        Some((name, _)) if name == "Streaming" => {
            return Err(Error::new_spanned(ty, "`Streaming<T>` is what who asks reads; return `Streamed<T>`"));
        }
        Some((name, arguments)) if name == "Later" => arguments.first().cloned(),
        Some((name, arguments)) if ["Exclusive", "ResponseActFuture", "AtomicResponse"].iter().any(|late| name == late) => {
            arguments.get(1).cloned()
        }
        Some((name, _)) if name == "ResponseFuture" => {
            return Err(Error::new_spanned(ty, "`ResponseFuture` needs actix's own runtime; return `Later<T>`"));
        }
        _ => None,
    };
    Ok(match later {
        Some(answer) => Answer::Later { answer, response: ty.clone() },
        None => Answer::Now((**ty).clone()),
    })
}

/// Whether the type is `&mut Ctx<..>` (or `&Ctx<..>`, or `&mut Self::Context`).
pub(crate) fn is_ctx(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    last_segment(&reference.elem).is_some_and(|(name, _)| name == "Ctx" || name == "Context")
}

/// Whether the type is `&Ref<..>`.
pub(crate) fn is_me(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    reference.mutability.is_none() && last_segment(&reference.elem).is_some_and(|(name, _)| name == "Ref")
}

/// Whether the type is called `Result`.
pub(crate) fn is_result(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|(name, _)| name == "Result")
}

pub(crate) fn is_static(reference: &TypeReference) -> bool {
    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
}

/// The last name of a type's path, and the types in its angle brackets.
fn last_segment(ty: &Type) -> Option<(&Ident, Vec<Type>)> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last()?;
    let types = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments
            .args
            .iter()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty.clone()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    Some((&segment.ident, types))
}

/// The name of the type that the block is for.
pub(crate) fn type_name(ty: &Type) -> Option<Ident> {
    last_segment(ty).map(|(name, _)| name.clone())
}

/// Refuses what no message and no step of a life can have. `what` says which of them the method is.
pub(crate) fn refuse_signature(signature: &Signature, what: &str) -> syn::Result<()> {
    let refuse = |span: Span, why: String| Err(Error::new(span, why));
    if let Some(first) = signature.generics.params.first() {
        let why = format!("{what} is one type with one layout, so the method cannot be generic; write its types out");
        return refuse(first.span(), why);
    }
    if let Some(clause) = &signature.generics.where_clause {
        return refuse(clause.span(), format!("{what} has nothing to bound; write the types out"));
    }
    if let Some(word) = &signature.unsafety {
        return refuse(word.span(), "who sends a message cannot promise anything; make the method safe".to_string());
    }
    if let Some(receiver) = signature.receiver()
        && !matches!(&*receiver.ty, Type::Reference(reference) if matches!(&*reference.elem, Type::Path(path) if path.path.is_ident("Self")))
    {
        let why = "the actor stays in its place; take `&mut self` or `&self`".to_string();
        return refuse(receiver.span(), why);
    }
    Ok(())
}

/// `tokens` with each `Self` written out: outside of the block it would be another type.
pub(crate) fn without_self(tokens: impl ToTokens, this: &Type) -> TokenStream {
    let written_out = |token| match token {
        TokenTree::Ident(ident) if ident == "Self" => this.to_token_stream(),
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), without_self(group.stream(), this));
            inner.set_span(group.span());
            TokenTree::from(inner).into()
        }
        other => TokenStream::from(other),
    };
    tokens.into_token_stream().into_iter().flat_map(written_out).collect()
}

/// `add_all` as a type is written: `AddAll`.
pub(crate) fn camel(name: &Ident) -> String {
    let name = name.unraw().to_string();
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
    };
    name.split('_').map(capital).collect()
}
