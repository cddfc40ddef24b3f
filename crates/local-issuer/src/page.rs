//! The sign-in page: plain HTML, no script.

use std::collections::HashMap;

use crate::encoding::html;

/// The fields of a form or a query.
pub(crate) type Form = HashMap<String, String>;

/// One button per user. The request's parameters are passed along.
pub(crate) fn sign_in(users: &[String], form: &Form) -> String {
    let mut fields: Vec<_> = form.iter().filter(|(name, _)| *name != "user").collect();
    fields.sort();
    let fields: String = fields
        .into_iter()
        .map(|(name, value)| {
            format!(
                r#"<input type="hidden" name="{}" value="{}">"#,
                html(name),
                html(value)
            )
        })
        .collect();
    let buttons: String = users
        .iter()
        .map(|user| {
            let user = html(user);
            format!(r#"<button name="user" value="{user}">Sign in as <b>{user}</b></button>"#)
        })
        .collect();
    document(
        "Sign in",
        &format!(
            "<h1>Sign in</h1><p>A development issuer: it asks for no password.</p>\
             <form method=\"post\">{fields}{buttons}</form>"
        ),
    )
}

/// A page that shows an error.
pub(crate) fn error(problem: &str) -> String {
    document(
        "Error",
        &format!(
            "<h1>This request can't be used</h1><p>{}</p>",
            html(problem)
        ),
    )
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style><main>{body}</main></html>"
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#f3f4f7;--surface:#fff;--edge:#868fa0;--soft:#566071;--accent:#3451c6;\
font:1rem/1.5 Inter,system-ui,sans-serif}\
@media(prefers-color-scheme:dark){:root{--page:#0f1318;--surface:#171c24;--edge:#6f7c90;--soft:#a0abbd;--accent:#a3b5ff}}\
body{display:grid;place-items:center;min-height:100dvh;margin:0;background:var(--page)}\
main{width:min(24rem,100vw - 2rem);padding:2rem 0}\
h1{margin:0;font-size:1.75rem;letter-spacing:-.02em}\
p{margin:.5rem 0 1.25rem;color:var(--soft)}\
form{display:grid;gap:.5rem}\
button{min-height:3rem;padding:.5rem .875rem;border:1px solid var(--edge);border-radius:.625rem;\
background:var(--surface);color:inherit;font:inherit;overflow-wrap:anywhere;cursor:pointer}\
button:hover{border-color:var(--accent)}\
button:focus-visible{outline:3px solid var(--accent);outline-offset:2px}";
