package bucket

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The examples of https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, with its key and time.
func TestSignatureOfTheAWSExamples(t *testing.T) {
	s := signer{key: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region: "us-east-1"}
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	const host = "https://examplebucket.s3.amazonaws.com"
	for _, c := range []struct {
		method, path, sum, want string
		header                  map[string]string
	}{
		{"GET", "/test.txt", emptySum, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", map[string]string{"Range": "bytes=0-9"}},
		{
			"PUT", "/test$file.text", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
		},
		{"GET", "/?lifecycle", emptySum, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", nil},
		{"GET", "/?max-keys=2&prefix=J", emptySum, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", nil},
	} {
		req, err := http.NewRequest(c.method, host+c.path, nil)
		require.NoError(t, err)
		for k, v := range c.header {
			req.Header.Set(k, v)
		}
		s.sign(req, c.sum, at)
		require.Contains(t, req.Header.Get("Authorization"), "Signature="+c.want, c.path)
	}
}

func TestMultipartUpload(t *testing.T) {
	stub := newStub(t)
	b := stub.bucket(t)
	body := strings.Repeat("0123456789", 100)
	o, err := b.Put(context.Background(), strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, 4, stub.parts) // 1,000 bytes in parts of 256
	require.Equal(t, body, read(t, b, o.Key, 0, -1))

	stub.failPart = 3
	_, err = b.Put(context.Background(), strings.NewReader("x"+body))
	require.ErrorContains(t, err, "upload part 3")
	require.Empty(t, stub.uploads, "the failed upload was aborted")
}

func TestRefusedCredentials(t *testing.T) {
	stub := newStub(t)
	stub.refuse = true
	_, err := stub.bucket(t).Size(context.Background(), Key(emptySum))
	require.ErrorIs(t, err, ErrDenied)
}

// stub is an S3 store in memory under an endpoint with a path, as Supabase Storage's is.
type stub struct {
	*httptest.Server
	sync.Mutex
	objects  map[string][]byte
	uploads  map[string][]byte
	parts    int
	failPart int
	refuse   bool
}

func newStub(t *testing.T) *stub {
	s := &stub{objects: map[string][]byte{}, uploads: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *stub) bucket(t *testing.T) *Bucket {
	b, err := Open(context.Background(), "s3://key:secret@logs?region=local&endpoint="+url.QueryEscape(s.URL+"/storage/v1/s3"))
	require.NoError(t, err)
	b.store.(*s3).part = 256
	require.NotContains(t, b.String(), "secret")
	return b
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	defer s.Unlock()
	key, ok := strings.CutPrefix(r.URL.Path, "/storage/v1/s3/logs/")
	if s.refuse || !ok || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=key/") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if sum := r.Header.Get("X-Amz-Content-Sha256"); sum != unsigned && sum != digest(body) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	upload, number := r.URL.Query().Get("uploadId"), 0
	fmt.Sscan(r.URL.Query().Get("partNumber"), &number) //nolint:errcheck // absent on most requests
	switch {
	case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
		s.uploads["id of "+key] = nil
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>id of %s</UploadId></InitiateMultipartUploadResult>", key)
	case r.Method == http.MethodDelete:
		delete(s.uploads, upload)
	case r.Method == http.MethodPost:
		s.parts = strings.Count(string(body), "<PartNumber>")
		s.objects[key] = s.uploads[upload]
		delete(s.uploads, upload)
	case number > 0:
		if number == s.failPart {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		s.uploads[upload] = append(s.uploads[upload], body...)
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprint("part ", number)))
	case r.Method == http.MethodPut:
		s.objects[key] = body
	default:
		object, ok := s.objects[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(object)))
	}
}
