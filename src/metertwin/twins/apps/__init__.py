"""Apps under a twin host: made, shown the group, asked, and what they return carried out.

The window keeps recent load-profile captures for them. Everything an app concludes from the stream
is concluded in the same step that applies it, and goes into the same checkpoint, together with what
is not yet carried out; so a crash anywhere repeats what was said and never forgets it.
"""
