package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// partBytes is the size of the parts of a multipart upload; with the 10,000 parts that S3 allows it takes 625 GiB.
const partBytes = 64 << 20

// s3 speaks to one bucket of an S3 store, path style.
type s3 struct {
	base   string // endpoint and bucket, no slash at the end
	signer signer
	http   *http.Client
	part   int64
}

func openS3(u *url.URL) (*s3, error) {
	q := u.Query()
	endpoint, err := url.Parse(q.Get("endpoint"))
	if err != nil || endpoint.Host == "" {
		return nil, errors.New("the address has no endpoint, write s3://KEY:SECRET@bucket?endpoint=https://host/path&region=REGION")
	}
	secret, ok := u.User.Password()
	if !ok || u.Host == "" {
		return nil, errors.New("the address has no bucket or credentials, write s3://KEY:SECRET@bucket?endpoint=URL")
	}
	region := q.Get("region")
	if region == "" {
		region = "us-east-1"
	}
	return &s3{
		base:   endpoint.JoinPath(u.Host).String(),
		signer: signer{key: u.User.Username(), secret: secret, region: region},
		http:   &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 16, ResponseHeaderTimeout: time.Minute}},
		part:   partBytes,
	}, nil
}

// do sends a request and returns its answer when its status is one of the 200s.
func (s *s3) do(ctx context.Context, method, key, query string, header http.Header, body io.Reader, size int64, sum string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+"/"+key, body)
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = query
	req.ContentLength = size
	for k, v := range header {
		req.Header[k] = v
	}
	s.signer.sign(req, sum, time.Now())
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	detail, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	switch resp.StatusCode {
	case http.StatusNotFound:
		return nil, ErrNotFound
	case http.StatusForbidden, http.StatusUnauthorized:
		return nil, fmt.Errorf("%w: %s", ErrDenied, detail)
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, errPastEnd
	}
	return nil, fmt.Errorf("%s: %s", resp.Status, detail)
}

var errPastEnd = errors.New("range past the end")

func (s *s3) send(ctx context.Context, method, key, query string, body io.Reader, size int64, sum string) (http.Header, []byte, error) {
	resp, err := s.do(ctx, method, key, query, nil, body, size, sum)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.Header, answer, err
}

// put spools to a file first: the key and the signature need the digest, which is known at the end of the stream.
func (s *s3) put(ctx context.Context, r io.Reader) (o Object, err error) {
	spool, err := os.CreateTemp("", "tartan-put-*")
	if err != nil {
		return Object{}, err
	}
	defer spool.Close()           //nolint:errcheck // read from, then thrown away
	defer os.Remove(spool.Name()) //nolint:errcheck // as above
	h := sha256.New()
	if o.Size, err = io.CopyBuffer(io.MultiWriter(spool, h), onlyReader{r}, make([]byte, copyBuffer)); err != nil {
		return Object{}, err
	}
	o.SHA256 = hex.EncodeToString(h.Sum(nil))
	o.Key = Key(o.SHA256)
	if _, err := s.size(ctx, o.Key); !errors.Is(err, ErrNotFound) {
		return o, err
	}
	if o.Size > s.part {
		return o, s.multipart(ctx, o, spool)
	}
	_, _, err = s.send(ctx, http.MethodPut, o.Key, "", io.NewSectionReader(spool, 0, o.Size), o.Size, o.SHA256)
	return o, err
}

func (s *s3) putBytes(ctx context.Context, body []byte, _ bool) (Object, error) {
	o := Object{SHA256: digest(body), Size: int64(len(body))}
	o.Key = Key(o.SHA256)
	if _, err := s.size(ctx, o.Key); !errors.Is(err, ErrNotFound) {
		return o, err
	}
	_, _, err := s.send(ctx, http.MethodPut, o.Key, "", bytes.NewReader(body), o.Size, o.SHA256)
	return o, err
}

type uploadedPart struct {
	PartNumber int
	ETag       string
}

// multipart uploads a spooled object in parts; a failed upload is aborted so that the store keeps no parts of it.
func (s *s3) multipart(ctx context.Context, o Object, spool io.ReaderAt) (err error) {
	_, answer, err := s.send(ctx, http.MethodPost, o.Key, "uploads=", nil, 0, emptySum)
	if err != nil {
		return fmt.Errorf("begin upload: %w", err)
	}
	var begun struct{ UploadId string } //nolint:revive // S3's spelling
	if err := xml.Unmarshal(answer, &begun); err != nil || begun.UploadId == "" {
		return fmt.Errorf("begin upload: no upload id in the answer: %w", err)
	}
	id := "uploadId=" + url.QueryEscape(begun.UploadId)
	defer func() {
		if err != nil {
			s.send(context.WithoutCancel(ctx), http.MethodDelete, o.Key, id, nil, 0, emptySum) //nolint:errcheck // the first error counts
		}
	}()
	var done struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []uploadedPart
	}
	for off := int64(0); off < o.Size; off += s.part {
		n := min(s.part, o.Size-off)
		number := len(done.Part) + 1
		query := "partNumber=" + strconv.Itoa(number) + "&" + id
		header, _, err := s.send(ctx, http.MethodPut, o.Key, query, io.NewSectionReader(spool, off, n), n, unsigned)
		if err != nil {
			return fmt.Errorf("upload part %d: %w", number, err)
		}
		done.Part = append(done.Part, uploadedPart{number, header.Get("ETag")})
	}
	body, err := xml.Marshal(done)
	if err != nil {
		return err
	}
	_, answer, err = s.send(ctx, http.MethodPost, o.Key, id, bytes.NewReader(body), int64(len(body)), digest(body))
	if err == nil && bytes.Contains(answer, []byte("<Error>")) { // S3 may answer 200 and fail afterwards
		err = fmt.Errorf("complete upload: %s", answer)
	}
	return err
}

func (s *s3) open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if n == 0 {
		return http.NoBody, nil
	}
	span := fmt.Sprintf("bytes=%d-", off)
	if n > 0 {
		span += strconv.FormatInt(off+n-1, 10)
	}
	resp, err := s.do(ctx, http.MethodGet, key, "", http.Header{"Range": {span}}, nil, 0, emptySum)
	if errors.Is(err, errPastEnd) {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, err
	}
	if off > 0 && resp.StatusCode != http.StatusPartialContent {
		resp.Body.Close() //nolint:errcheck // not read
		return nil, errors.New("the store ignores Range")
	}
	return resp.Body, nil
}

func (s *s3) size(ctx context.Context, key string) (int64, error) {
	resp, err := s.do(ctx, http.MethodHead, key, "", nil, nil, 0, emptySum)
	if err != nil {
		return 0, err
	}
	resp.Body.Close() //nolint:errcheck // HEAD has none
	return resp.ContentLength, nil
}
