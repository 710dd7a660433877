"""A rehearsal: an app over a group's recorded intervals, and what would be different.

The same app that runs in a twin host runs here, faster than time, over history: with another
configuration or in another version it shows which outputs, findings and proposals it would have
made, before anybody switches. Nothing it proposes is carried out.

What a rehearsal has of the past are load-profile intervals. Registers read at a moment are not
replayed: their columns are empty, and an app sees that. Every interval comes in its own time, none
late and none corrected, as the history knows it today.
"""
