// Package transfer copies files and folders to and from a server by SFTP: many requests at a time, so that distance does not
// matter; each file under another name first, so that no half file is ever seen under its own; and nothing outside of the
// folder that the user named, whatever names and links the server tells.
package transfer
