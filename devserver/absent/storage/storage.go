// Package storage stands in for the client of Google's object storage, which the Temporal server brings only
// to archive histories there. The local server archives nothing: every call here fails and says so, and the
// 170 packages of the real client are not compiled.
package storage

import (
	"context"
	"errors"

	"google.golang.org/api/option"
)

// ErrAbsent is what every call returns.
var ErrAbsent = errors.New("archiving to Google's object storage is not built into the local Temporal server")

// ScopeFullControl is the right that the real client asks for.
const ScopeFullControl = "https://www.googleapis.com/auth/devstorage.full_control"

// Client has the methods of the real client that the server calls; so do the types below.
type Client struct{}

// NewClient fails.
func NewClient(context.Context, ...option.ClientOption) (*Client, error) { return nil, ErrAbsent }

// Bucket returns a bucket that fails.
func (c *Client) Bucket(string) *BucketHandle { return &BucketHandle{} }

// BucketHandle stands for a bucket.
type BucketHandle struct{}

// Object returns an object that fails.
func (b *BucketHandle) Object(string) *ObjectHandle { return &ObjectHandle{} }

// Objects returns an iterator that fails.
func (b *BucketHandle) Objects(context.Context, *Query) *ObjectIterator { return &ObjectIterator{} }

// Attrs fails.
func (b *BucketHandle) Attrs(context.Context) (*BucketAttrs, error) { return nil, ErrAbsent }

// ObjectHandle stands for an object.
type ObjectHandle struct{}

// NewWriter returns a writer that fails.
func (o *ObjectHandle) NewWriter(context.Context) *Writer { return &Writer{} }

// NewReader fails.
func (o *ObjectHandle) NewReader(context.Context) (*Reader, error) { return nil, ErrAbsent }

// Attrs fails.
func (o *ObjectHandle) Attrs(context.Context) (*ObjectAttrs, error) { return nil, ErrAbsent }

// Writer fails.
type Writer struct{}

// Write fails.
func (w *Writer) Write([]byte) (int, error) { return 0, ErrAbsent }

// Close fails.
func (w *Writer) Close() error { return ErrAbsent }

// CloseWithError fails.
func (w *Writer) CloseWithError(error) error { return ErrAbsent }

// Reader fails.
type Reader struct{}

// Read fails.
func (r *Reader) Read([]byte) (int, error) { return 0, ErrAbsent }

// Close does nothing.
func (r *Reader) Close() error { return nil }

// ObjectIterator fails.
type ObjectIterator struct{}

// Next fails.
func (i *ObjectIterator) Next() (*ObjectAttrs, error) { return nil, ErrAbsent }

// Query, ObjectAttrs and BucketAttrs have the fields that the server names.
type (
	Query       struct{ Prefix string }
	ObjectAttrs struct{ Name string }
	BucketAttrs struct{ Name string }
)
